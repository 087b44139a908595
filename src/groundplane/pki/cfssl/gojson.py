"""JSON text to values, with the words of Go's decoder for what is wrong: CFSSL's callers see them.

The whole text is checked first, as Go does, so an error of syntax comes before one of types. Numbers stay text
(`Number`), since Go says them back as they were written. Bytes that are no UTF-8 become U+FFFD, as in Go.
"""

import json
import re
from dataclasses import dataclass
from typing import NoReturn

from groundplane.pki.cfssl.errors import Plain

_BLANKS = b" \t\r\n"
_DEEPEST = 200  # Go allows 10000; no file of CFSSL's has ten, and recursion costs memory
_DIGITS = b"0123456789"
_HEX = re.compile(rb"[0-9A-Fa-f]")
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]+')
_ESCAPES = {b"b": "\b", b"f": "\f", b"n": "\n", b"r": "\r", b"t": "\t", b'"': '"', b"\\": "\\", b"/": "/"}
_LITERALS: dict[bytes, object] = {b"true": True, b"false": False, b"null": None}


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was written."""

    text: str


@dataclass(frozen=True, slots=True)
class Object:
    """An object's fields in order, repeated ones included."""

    pairs: tuple[tuple[str, object], ...]


def _no_constant(_: str) -> NoReturn:
    raise ValueError  # NaN and its like, which Python takes


# Python's own parser, which is many times faster, takes nothing else than Go's once these three are seen to.
_FAST = json.JSONDecoder(
    object_pairs_hook=lambda pairs: Object(tuple(pairs)),
    parse_float=Number,
    parse_int=Number,
    parse_constant=_no_constant,
)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def parse(data: bytes) -> object:
    """The value of `data`: Object, list, str, Number, bool or None. Raises Plain with Go's text."""
    if data.count(b"{") + data.count(b"[") < _DEEPEST and not _SURROGATE.search(data):
        try:
            found: object = _FAST.decode(data.decode())
        except ValueError:
            pass  # wrong, and the reader below says how in Go's words; or not UTF-8, which Go takes
        else:
            return found
    reader = _Reader(data)
    value = reader.value(0)
    reader.skip()
    if reader.position < len(data):
        raise reader.unexpected("after top-level value")
    return value


def text_of(value: object) -> str:
    """A value of `parse` as JSON again."""
    match value:
        case Object(pairs):
            return "{" + ",".join(f"{json.dumps(name)}:{text_of(inner)}" for name, inner in pairs) + "}"
        case list():
            return "[" + ",".join(map(text_of, value)) + "]"
        case Number(text):
            return text
        case _:
            return json.dumps(value)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def skip(self) -> None:
        while self.position < len(self.data) and self.data[self.position] in _BLANKS:
            self.position += 1

    def peek(self) -> bytes:
        """The next byte that is no blank. Raises Plain at the end."""
        self.skip()
        return self.now()

    def now(self) -> bytes:
        if self.position >= len(self.data):
            raise Plain("unexpected end of JSON input")
        return self.data[self.position : self.position + 1]

    def inside(self, where: str) -> bytes:
        """The next byte of something that cannot end here; Go takes the end of the text for a blank."""
        if self.position >= len(self.data):
            raise Plain(f"invalid character ' ' {where}")
        return self.data[self.position : self.position + 1]

    def unexpected(self, where: str) -> Plain:
        return Plain(f"invalid character {_quoted(self.data[self.position])} {where}")

    def value(self, depth: int) -> object:
        if depth > _DEEPEST:
            raise Plain("exceeded max depth")
        first = self.peek()
        if first == b"{":
            return self._object(depth)
        if first == b"[":
            return self._array(depth)
        if first == b'"':
            return self._string()
        if first == b"-" or first in _DIGITS:
            return self._number()
        for word, meaning in _LITERALS.items():
            if first == word[:1]:
                return self._literal(word, meaning)
        raise self.unexpected("looking for beginning of value")

    def _object(self, depth: int) -> Object:
        self.position += 1
        pairs: list[tuple[str, object]] = []
        while True:
            first = self.peek()
            if first == b"}" and not pairs:
                break
            if first != b'"':
                raise self.unexpected("looking for beginning of object key string")
            key = self._string()
            if self.peek() != b":":
                raise self.unexpected("after object key")
            self.position += 1
            pairs.append((key, self.value(depth + 1)))
            end = self.peek()
            if end == b"}":
                break
            if end != b",":
                raise self.unexpected("after object key:value pair")
            self.position += 1
        self.position += 1
        return Object(tuple(pairs))

    def _array(self, depth: int) -> list[object]:
        self.position += 1
        found: list[object] = []
        while True:
            if self.peek() == b"]" and not found:
                break
            found.append(self.value(depth + 1))
            end = self.peek()
            if end == b"]":
                break
            if end != b",":
                raise self.unexpected("after array element")
            self.position += 1
        self.position += 1
        return found

    def _literal(self, word: bytes, meaning: object) -> object:
        for wanted in word:
            where = f"in literal {word.decode()} (expecting {_quoted(wanted)})"
            if self.inside(where)[0] != wanted:
                raise self.unexpected(where)
            self.position += 1
        return meaning

    def _number(self) -> Number:
        start = self.position
        if self.now() == b"-":
            self.position += 1
            self._digit("in numeric literal")
        if self.now() == b"0":
            self.position += 1
        else:
            self._digits()
        if self.data[self.position : self.position + 1] == b".":
            self.position += 1
            self._digit("after decimal point in numeric literal")
            self._digits()
        if self.data[self.position : self.position + 1] in {b"e", b"E"}:
            self.position += 1
            if self.inside("in exponent of numeric literal") in {b"+", b"-"}:
                self.position += 1
            self._digit("in exponent of numeric literal")
            self._digits()
        return Number(self.data[start : self.position].decode())

    def _digit(self, where: str) -> None:
        if self.inside(where) not in _DIGITS:
            raise self.unexpected(where)

    def _digits(self) -> None:
        while self.position < len(self.data) and self.data[self.position] in _DIGITS:
            self.position += 1

    def _string(self) -> str:
        self.position += 1
        parts: list[str] = []
        while (byte := self.now()) != b'"':
            if plain := _PLAIN.match(self.data, self.position):
                parts.append(plain[0].decode(errors="replace"))
                self.position = plain.end()
            elif byte == b"\\":
                self.position += 1
                parts.append(self._escape())
            else:
                raise self.unexpected("in string literal")
        self.position += 1
        # Pairs of surrogates become one character, and half a pair becomes U+FFFD.
        return "".join(parts).encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def _escape(self) -> str:
        byte = self.inside("in string escape code")
        if byte in _ESCAPES:
            self.position += 1
            return _ESCAPES[byte]
        if byte != b"u":
            raise self.unexpected("in string escape code")
        self.position += 1
        start = self.position
        for _ in range(4):
            where = "in \\u hexadecimal character escape"
            if not _HEX.fullmatch(self.inside(where)):
                raise self.unexpected(where)
            self.position += 1
        return chr(int(self.data[start : self.position], 16))


def _quoted(byte: int) -> str:
    """A byte as Go's scanner shows it: as the character of that number, in single quotes."""
    special = {0x27: "\\'", 0x22: '"', 0x5C: "\\\\", 0x07: "\\a", 0x08: "\\b", 0x0C: "\\f", 0x0A: "\\n"}
    special |= {0x0D: "\\r", 0x09: "\\t", 0x0B: "\\v", 0xAD: "\\u00ad"}
    if byte in special:
        return f"'{special[byte]}'"
    if byte < 0x20 or byte == 0x7F:  # noqa: PLR2004 - the control characters of ASCII
        return f"'\\x{byte:02x}'"
    return f"'\\u{byte:04x}'" if 0x80 <= byte <= 0xA0 else f"'{chr(byte)}'"  # noqa: PLR2004 - C1 and the hard blank
