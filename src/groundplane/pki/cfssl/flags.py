"""Go's command-line syntax: `-name value`, `-name=value`, two dashes or one; a bool takes its value after `=` only.

Reading stops at the first word that is no flag, or after `--`; all that follows are arguments, flags or not.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})
_LIMIT = 2**63
_INTEGER = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|[1-9][0-9]*|0)")

Value = str | bool | int


class Kind(Enum):
    """What a flag's value is."""

    TEXT = "string"
    BOOL = "bool"
    INT = "int"
    DURATION = "duration"


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag: its name, what it is, how its default is shown, and a few words for the usage."""

    name: str
    kind: Kind
    default: str
    what: str

    @property
    def initial(self) -> Value:
        """The value without the flag."""
        if self.kind is Kind.BOOL:
            return self.default == "true"
        return int(self.default) if self.kind is Kind.INT else self.default

    def read(self, text: str) -> Value:
        """`text` as its value. Raises ValueError."""
        match self.kind:
            case Kind.BOOL if text in _TRUE or text in _FALSE:
                return text in _TRUE
            case Kind.INT if _INTEGER.fullmatch(text) and -_LIMIT <= (number := _integer(text)) < _LIMIT:
                return number
            case Kind.TEXT:
                return text
            case Kind.DURATION if _is_duration(text):
                return text
            case _:
                raise ValueError(text)


class BadFlags(Exception):
    """The first line of what Go says, and what it exits with after the usage."""

    def __init__(self, line: str) -> None:
        self.line = line
        super().__init__(line)


class HelpWanted(Exception):
    """-h or -help: the usage, and exit 0."""


def parse(words: Sequence[str], table: Mapping[str, Flag]) -> tuple[dict[str, Value], list[str]]:
    """The value of every flag in `table`, and the arguments. Raises BadFlags, HelpWanted."""
    values = {name: flag.initial for name, flag in table.items()}
    rest = list(words)
    while rest:
        word = rest[0]
        if len(word) < 2 or not word.startswith("-"):  # noqa: PLR2004 - a dash alone is standard input
            break
        rest.pop(0)
        if word == "--":
            break
        body = word.removeprefix("-").removeprefix("-")
        if not body or body.startswith(("-", "=")):
            raise BadFlags(f"bad flag syntax: {word}")
        name, equals, text = body.partition("=")
        flag = table.get(name)
        if flag is None:
            if name in {"h", "help"}:
                raise HelpWanted
            raise BadFlags(f"flag provided but not defined: -{name}")
        if flag.kind is Kind.BOOL and not equals:
            values[name] = True
            continue
        if not equals:
            if not rest:
                raise BadFlags(f"flag needs an argument: -{name}")
            text = rest.pop(0)
        values[name] = _read(flag, text)
    return values, rest


def _read(flag: Flag, text: str) -> Value:
    try:
        return flag.read(text)
    except ValueError:
        quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        what = f"boolean value {quoted} for" if flag.kind is Kind.BOOL else f"value {quoted} for flag"
        raise BadFlags(f"invalid {what} -{flag.name}: parse error") from None


def _integer(text: str) -> int:
    """Base 0 as in Go, where a leading 0 alone means octal."""
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if digits.startswith("0") and digits[1:].isdigit():
        return sign * int(digits, 8)
    return sign * int(digits, 0)


def _is_duration(text: str) -> bool:
    from groundplane.errors import Invalid
    from groundplane.pki.wire.duration import parse_duration

    try:
        parse_duration(text, at="flag")
    except Invalid:
        return False
    return True
