"""The alphabet of RE2's patterns: classes of characters, and the places between two of them."""

from collections.abc import Callable
from dataclasses import dataclass

WORD = "0-9A-Za-z_"
PERL = {"d": "0-9", "w": WORD, "s": "\t\n\f\r "}
POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": "\x00-\x7f",
    "blank": "\t ",
    "cntrl": "\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@[-`{-~",
    "space": "\t\n\v\f\r ",
    "upper": "A-Z",
    "word": WORD,
    "xdigit": "0-9A-Fa-f",
}

Ranges = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Chars:
    """A class of characters; `folded` takes a letter for both of its cases."""

    ranges: Ranges
    negated: bool = False
    folded: bool = False

    def takes(self, char: str) -> bool:
        """Whether `char` is one of them."""
        forms = {char, char.lower(), char.upper()} if self.folded else {char}
        return any(low <= form <= high for form in forms for low, high in self.ranges) != self.negated


At = Callable[[str, int], bool]


ANY = Chars((("\x00", "\U0010ffff"),))


def ranges_of(text: str) -> Ranges:
    """`0-9A-Z_` as pairs."""
    found, place = [], 0
    while place < len(text):
        wide = text[place + 1 : place + 2] == "-" and place + 2 < len(text)
        found.append((text[place], text[place + 2] if wide else text[place]))
        place += 3 if wide else 1
    return tuple(found)


def opposite(ranges: Ranges) -> Ranges:
    """Every character that is in none of `ranges`."""
    found, next_one = [], 0
    for low, high in sorted(ranges):
        if ord(low) > next_one:
            found.append((chr(next_one), chr(ord(low) - 1)))
        next_one = max(next_one, ord(high) + 1)
    return (*found, (chr(next_one), "\U0010ffff"))


def _is_word(name: str, place: int) -> bool:
    return 0 <= place < len(name) and name[place].isascii() and (name[place].isalnum() or name[place] == "_")


def text_start(_name: str, place: int) -> bool:
    """Before the first character."""
    return place == 0


def text_end(name: str, place: int) -> bool:
    """After the last one."""
    return place == len(name)


def line_start(name: str, place: int) -> bool:
    """Before the first of a line."""
    return place == 0 or name[place - 1] == "\n"


def line_end(name: str, place: int) -> bool:
    """After the last of a line."""
    return place == len(name) or name[place] == "\n"


def edge(name: str, place: int) -> bool:
    """Where a word begins or ends."""
    return _is_word(name, place - 1) != _is_word(name, place)


def no_edge(name: str, place: int) -> bool:
    """Anywhere else."""
    return not edge(name, place)
