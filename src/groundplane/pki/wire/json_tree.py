"""JSON whose every value knows its file and its path, read by Go's rules, since CFSSL's files were written for them.

Field names match whatever their letter case, an exact match first; `null` leaves the default in CFSSL's files, and is
refused in what is groundplane's own (`nulls`). What Go lets pass in silence is refused when `strict`: unknown fields
(with the nearest known one) and fields given twice.
msgspec decodes to types directly, but it matches case, cannot suggest, and calls every key of a mapping `[...]`.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NoReturn

from groundplane.errors import Invalid

LARGEST = 1 << 20  # bytes; CFSSL's files are some hundred
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_ -]+")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Object:
    """A JSON object with its fields in order, repeated ones included."""

    pairs: tuple[tuple[str, object], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A JSON value (an `Object`, list, str, int, float or bool), where it stands, and how strictly to take it.

    `nulls`: a field that is null is one that was left out.
    """

    value: object
    source: str
    path: str = ""
    strict: bool = True
    nulls: bool = True

    @property
    def at(self) -> str:
        """`file: path`, for errors."""
        return f"{self.source}: {self.path}" if self.path else self.source

    def refuse(self, happened: str, *, hint: str = "") -> Invalid:
        """The error to raise about this value."""
        return Invalid(happened, to=self.at, hint=hint)

    def child(self, name: str, value: object) -> "Node":
        """The value under `name`."""
        if _PLAIN_KEY.fullmatch(name):
            path = f"{self.path}.{name}" if self.path else name
        else:
            path = f"{self.path}[{json.dumps(name)}]"
        return replace(self, value=value, path=path)

    def without_nulls(self) -> "Node":
        """The same, in which null is refused: where leaving out means "all", it would look like "none"."""
        return replace(self, nulls=False)

    def items(self) -> Iterator[tuple[str, "Node"]]:
        """Name and value of each field that is not null. Refuses what is not an object, and repeats when strict.

        Also null, where it may not stand for what was left out.
        """
        if not isinstance(self.value, Object):
            raise self.refuse(f"an object is wanted here, not {_kind(self.value)}", hint='write {"name": value}')
        found: dict[str, Node] = {}
        for name, value in self.value.pairs:
            child = self.child(name, value)
            if name in found and self.strict:
                raise child.refuse("given twice", hint="remove one of the two")
            if value is None and not self.nulls:
                raise child.refuse("null says nothing here", hint="remove it, or give it a value")
            found[name] = child
        return ((name, child) for name, child in found.items() if child.value is not None)

    def fields(self, known: Iterable[str], *, own: Collection[str] = ()) -> dict[str, "Node"]:
        """The fields by their name in `known`. Refuses unknown ones when strict.

        Those of `own` are groundplane's: null is refused in them, if strict.
        """
        if self.strict:
            self._refuse_nulls(own)
        by_fold = {name.casefold(): name for name in known}
        found: dict[str, Node] = {}
        exact: set[str] = set()
        for written, child in self.items():
            name = by_fold.get(written.casefold())
            if name is None:
                if self.strict:
                    raise child.refuse("unknown field", hint=nearest(written, by_fold.values()))
                continue
            if name in found and self.strict:
                raise child.refuse(f"given twice, also as {name!r}", hint="remove one of the two")
            if name in exact and written != name:
                continue
            if written == name:
                exact.add(name)
            found[name] = child
        return {name: child.without_nulls() if self.strict and name in own else child for name, child in found.items()}

    def _refuse_nulls(self, names: Iterable[str]) -> None:
        folded = {name.casefold() for name in names}
        for name, value in self.value.pairs if isinstance(self.value, Object) else ():
            if value is None and name.casefold() in folded:
                raise self.child(name, value).refuse("null says nothing here", hint="remove it, or give it a value")

    def elements(self) -> list["Node"]:
        """The elements of an array."""
        if not isinstance(self.value, list):
            raise self.refuse(f"an array is wanted here, not {_kind(self.value)}", hint="write [a, b]")
        return [replace(self, value=value, path=f"{self.path}[{number}]") for number, value in enumerate(self.value)]

    def text(self) -> str:
        """A string."""
        if not isinstance(self.value, str):
            raise self.refuse(f"a string is wanted here, not {_kind(self.value)}", hint='write it in "quotes"')
        if _SURROGATE.search(self.value):
            raise self.refuse("half of a surrogate pair is no character", hint="remove the \\ud… escape")
        return self.value

    def texts(self) -> tuple[str, ...]:
        """An array of strings."""
        return tuple(element.text() for element in self.elements())

    def boolean(self) -> bool:
        """True or false."""
        if not isinstance(self.value, bool):
            raise self.refuse(f"true or false is wanted here, not {_kind(self.value)}")
        return self.value

    def integer(self) -> int:
        """A whole number."""
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            raise self.refuse(f"a whole number is wanted here, not {_kind(self.value)}", hint="write it without quotes")
        return self.value


def parse_json(data: bytes, *, source: str, strict: bool) -> Node:
    """The document in `data`. Raises Invalid with line and column for what is not JSON."""
    if len(data) > LARGEST:
        raise Invalid(f"{len(data)} bytes are more than such a file can have", to=source, hint="name the right file")
    try:
        text = data.decode()
    except UnicodeDecodeError as bad:
        line = data.count(b"\n", 0, bad.start) + 1
        raise Invalid("this is not UTF-8", to=f"{source}:{line}", hint="save the file as UTF-8") from bad
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except json.JSONDecodeError as bad:
        place = f"{source}:{bad.lineno}:{bad.colno}"
        hint = _syntax_mend(text, bad) if text.strip() else "name the right file"
        words = "the file is empty" if not text.strip() else f"this is not JSON: {_lower(bad.msg)}"
        raise Invalid(words, to=place, hint=hint) from bad
    except RecursionError as deep:
        raise Invalid("nested too deeply", to=source, hint="name the right file") from deep
    except ValueError as odd:  # NaN and its like, or more digits than int() takes
        raise Invalid("there is a number in it that JSON or this program cannot hold", to=source) from odd
    return Node(value=value, source=source, strict=strict)


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint: the known name most like `name`, or all of them."""
    known = list(known)
    import difflib  # only what is wrong needs it

    near = difflib.get_close_matches(name, known, n=1) or difflib.get_close_matches(name.lower(), known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known) or 'none'}"


def _object(pairs: list[tuple[str, object]]) -> Object:
    return Object(tuple(pairs))


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _lower(words: str) -> str:
    return words[:1].lower() + words[1:]


def _syntax_mend(text: str, bad: json.JSONDecodeError) -> str:
    before, after = text[: bad.pos].rstrip(), text[bad.pos :].lstrip()
    if after.startswith(("//", "/*", "#")):
        return "JSON has no comments: remove it"
    if bad.msg.startswith("Extra data"):
        return "remove what follows the document's end"
    if before.endswith(",") and after[:1] in {"}", "]"}:
        return "remove the comma before it"
    if "',' delimiter" in bad.msg and after:
        return "is a comma missing before it?"
    return "mend the file there"


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "a string"
        case int() | float():
            return "a number"
        case list():
            return "an array"
        case _:
            return "an object"
