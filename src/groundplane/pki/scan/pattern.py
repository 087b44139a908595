r"""RE2's patterns, for choosing scanners by name: anyone who may ask for a scan may send one, so none may take long.

The grammar is Go's regexp/syntax with flags for Perl, less Unicode classes (`\pL`); its words for what is wrong are
Go's. A pattern becomes states of which all that are alive go on together: time is the pattern's length times the
name's.
"""

from dataclasses import dataclass, field

from groundplane.errors import Invalid
from groundplane.pki.scan.characters import (
    ANY,
    PERL,
    POSIX,
    At,
    Chars,
    edge,
    line_end,
    line_start,
    no_edge,
    opposite,
    ranges_of,
    text_end,
    text_start,
)

_MOST_REPEATS = 1000  # RE2's
_MOST_STATES = 20_000
_DEEPEST = 100
_SIMPLE = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class BadPattern(Invalid):
    """`happened` is what Go says of it."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"error parsing regexp: {what}: `{where}`", to="pattern")

    def __reduce__(self) -> tuple[object, ...]:
        return Invalid, (self.happened,)


@dataclass(slots=True)
class _State:
    """Takes a character (`chars`), asks where it is (`at`), or neither; then goes on to each of `to`."""

    chars: Chars | None = None
    at: At | None = None
    to: list["_State"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of the machine: where it begins, and the state whose `to` is still open."""

    first: _State
    last: _State


class Pattern:
    """A pattern, ready to be searched for; raises BadPattern for what is none."""

    def __init__(self, text: str) -> None:
        self._end = _State()
        part = _Parser(text).whole()
        part.last.to.append(self._end)
        self._first = part.first

    def __call__(self, name: str) -> bool:
        """Whether it occurs anywhere in `name`."""
        alive: dict[int, _State] = {}
        for place in range(len(name) + 1):
            alive = self._reach([*alive.values(), self._first], name, place)
            if id(self._end) in alive:
                return True
            if place < len(name):
                stepped = [state for state in alive.values() if state.chars is not None]
                alive = {
                    id(after): after
                    for state in stepped
                    if state.chars is not None and state.chars.takes(name[place])
                    for after in state.to
                }
        return False

    def _reach(self, states: list[_State], name: str, place: int) -> dict[int, _State]:
        """These, and all that is to be reached from them without taking a character."""
        found: dict[int, _State] = {}
        while states:
            state = states.pop()
            if id(state) in found:
                continue
            found[id(state)] = state
            if state.chars is None and (state.at is None or state.at(name, place)):
                states += state.to
        return found


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._states = 0
        self._flags: frozenset[str] = frozenset()

    def whole(self) -> _Part:
        if any("\ud800" <= char <= "\udfff" for char in self._text):
            raise BadPattern("invalid UTF-8", self._text)
        part = self._either()
        if self._at < len(self._text):
            raise BadPattern("unexpected )", self._text)
        return part

    # alternatives, sequences, repetitions

    def _either(self) -> _Part:
        flags = self._flags
        choices = [self._sequence()]
        while self._ahead("|"):
            self._at += 1
            choices.append(self._sequence())
        self._flags = flags
        if len(choices) == 1:
            return choices[0]
        first, last = self._state(), self._state()
        for choice in choices:
            first.to.append(choice.first)
            choice.last.to.append(last)
        return _Part(first, last)

    def _sequence(self) -> _Part:
        start = self._state()
        end = start
        while self._at < len(self._text) and not self._ahead("|") and not self._ahead(")"):
            if self._ahead("(?") and self._changes_flags():
                continue
            part = self._repeated()
            end.to.append(part.first)
            end = part.last
        return _Part(start, end)

    def _repeated(self) -> _Part:
        start = self._at
        part = self._one()
        stop = before = self._at
        repeats = 0
        while (bounds := self._bounds()) is not None:
            repeats += 1
            sign = self._text[stop : self._at]
            if repeats > 1:
                raise BadPattern("invalid nested repetition operator", self._text[before : self._at])
            before = stop
            part = self._times(part, *bounds, source=(start, stop), sign=sign)
        return part

    def _bounds(self) -> tuple[int, int | None] | None:
        """Of the operator that stands here, if one does; None as the second is no end."""
        simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        if (char := self._text[self._at : self._at + 1]) in simple:
            self._at += 1
            bounds = simple[char]
        elif char == "{" and (counted := self._counted()) is not None:
            bounds = counted
        else:
            return None
        if self._ahead("?"):
            self._at += 1  # whether it is greedy decides what is taken, not whether there is a match
        return bounds

    def _counted(self) -> tuple[int, int | None] | None:
        """{n}, {n,} or {n,m}; anything else is plain text."""
        close = self._text.find("}", self._at)
        inner = self._text[self._at + 1 : close] if close > 0 else ""
        low, comma, high = inner.partition(",")
        if not _is_number(low) or not (high == "" or _is_number(high)):
            return None
        counts = (int(low[:5]), int(low[:5]) if not comma else int(high[:5]) if high else None)
        if counts[0] > _MOST_REPEATS or (counts[1] is not None and not counts[0] <= counts[1] <= _MOST_REPEATS):
            raise BadPattern("invalid repeat count", self._text[self._at : close + 1])
        self._at = close + 1
        return counts

    def _times(self, part: _Part, low: int, high: int | None, *, source: tuple[int, int], sign: str) -> _Part:
        """`part` was parsed once; each further copy is parsed again from where it stands."""
        after = self._at
        start = self._state()
        end = start
        copies = max(low, 1) if high is None else high
        stop = self._state()
        for number in range(copies):
            if number:
                part = self._again(source, sign)
            if number >= low:
                end.to.append(stop)
            end.to.append(part.first)
            end = part.last
        if high is None:
            end.to.append(part.first)
            if low == 0:
                start.to.append(stop)
        end.to.append(stop)
        self._at = after
        return _Part(start, stop)

    def _again(self, source: tuple[int, int], sign: str) -> _Part:
        self._at = source[0]
        part = self._one()
        if self._states > _MOST_STATES:
            raise BadPattern("invalid repeat count", sign)
        return part

    # single things

    def _one(self) -> _Part:  # noqa: PLR0911 - one for each kind of thing
        char = self._text[self._at]
        if char in "*+?" or (char == "{" and self._is_count()):
            raise BadPattern("missing argument to repetition operator", self._operator())
        self._at += 1
        match char:
            case "(":
                return self._group()
            case "[":
                return self._take(self._class())
            case ".":
                return self._take(Chars((("\n", "\n"),), negated=True) if "s" not in self._flags else ANY)
            case "^":
                return self._where(line_start if "m" in self._flags else text_start)
            case "$":
                return self._where(line_end if "m" in self._flags else text_end)
            case "\\":
                return self._escaped()
            case _:
                return self._take(self._literal(char))

    def _group(self) -> _Part:
        start = self._at - 1
        self._depth += 1
        if self._depth > _DEEPEST:
            raise BadPattern("expression nests too deeply", self._text)
        outer = self._flags
        if self._ahead("?"):
            self._opening(start)
        part = self._either()
        if not self._ahead(")"):
            raise BadPattern("missing closing )", self._text)
        self._at += 1
        self._flags = outer
        self._depth -= 1
        return part

    def _opening(self, start: int) -> None:
        """After `(`: a name, or flags for the group."""
        rest = self._text[self._at :]
        for prefix in ("?P<", "?<"):
            if rest.startswith(prefix) and not rest.startswith(("?<=", "?<!")):
                name, close, _ = rest[len(prefix) :].partition(">")
                if not close or not name.replace("_", "a").isalnum():
                    end = self._at + len(prefix) + len(name) + 1
                    raise BadPattern("invalid named capture", self._text[start:end])
                self._at += len(prefix) + len(name) + 1
                return
        end = self._flag_run(start)
        if self._text[end] != ":":
            raise BadPattern("missing argument to repetition operator", "?")
        self._at = end + 1

    def _changes_flags(self) -> bool:
        """`(?i)`: for the rest of the group. Whether one stood here."""
        rest = self._text[self._at + 2 :]
        if rest.startswith(("P<", "<", ":")):
            return False
        start, before = self._at, self._flags
        self._at += 1
        end = self._flag_run(start)
        if self._text[end] == ")":
            self._at = end + 1
            return True
        self._at, self._flags = start, before
        return False

    def _flag_run(self, start: int) -> int:
        """Reads `?imsU-imsU`; where it ends, at `:` or `)`."""
        on, taken, count = True, set(self._flags), 0
        for place in range(self._at + 1, len(self._text)):
            char = self._text[place]
            if char in "imsU":
                (taken.add if on else taken.discard)(char)
                count += 1
            elif char == "-" and on:
                on, count = False, 0
            elif char in ":)" and (on or count):
                self._flags = frozenset(taken)
                return place
            else:
                raise BadPattern("invalid or unsupported Perl syntax", self._text[start : place + 1])
        raise BadPattern("invalid or unsupported Perl syntax", self._text[start:])

    def _escaped(self) -> _Part:
        if self._at >= len(self._text):
            raise BadPattern("trailing backslash at end of expression", "")
        char = self._text[self._at]
        places: dict[str, At] = {"A": text_start, "z": text_end, "b": edge, "B": no_edge}
        if char in places:
            self._at += 1
            return self._where(places[char])
        if char == "Q":
            return self._quoted()
        if char.lower() in PERL:
            self._at += 1
            return self._take(Chars(ranges_of(PERL[char.lower()]), negated=char.isupper()))
        return self._take(self._literal(self._escape()))

    def _quoted(self) -> _Part:
        stop = self._text.find("\\E", self._at)
        inner = self._text[self._at + 1 : stop] if stop >= 0 else self._text[self._at + 1 :]
        self._at = stop + 2 if stop >= 0 else len(self._text)
        start = self._state()
        end = start
        for char in inner:
            part = self._take(self._literal(char))
            end.to.append(part.first)
            end = part.last
        return _Part(start, end)

    def _escape(self) -> str:
        """The character that stands after a backslash."""
        start = self._at - 1
        char = self._text[self._at : self._at + 1]
        self._at += 1
        if char in _SIMPLE and char:
            return _SIMPLE[char]
        if char and char.isascii() and not char.isalnum():
            return char
        digits, base = "", 8
        if char == "x":
            base = 16
            if self._ahead("{"):
                inner, close, _ = self._text[self._at + 1 :].partition("}")
                digits = inner if close else ""
                self._at += len(inner) + 2
            else:
                digits = self._text[self._at : self._at + 2]
                self._at += 2
                digits = digits if len(digits) == 2 else ""  # noqa: PLR2004 - \xFF
        elif char == "0" or (char in "1234567" and self._text[self._at : self._at + 1] in tuple("01234567")):
            digits = char
            while len(digits) < 3 and self._text[self._at : self._at + 1] in tuple("01234567"):  # noqa: PLR2004 - \377
                digits += self._text[self._at]
                self._at += 1
        try:
            if digits and digits.isalnum():
                return chr(int(digits, base))
        except (ValueError, OverflowError):
            pass  # no number, or no character: refused below
        raise BadPattern("invalid escape sequence", self._text[start : max(self._at, start + 2)])

    def _class(self) -> Chars:
        start = self._at - 1
        negated = self._ahead("^")
        self._at += negated
        found: list[tuple[str, str]] = []
        first = True
        while first or not self._ahead("]"):
            if self._at >= len(self._text):
                raise BadPattern("missing closing ]", self._text[start:])
            first = False
            if (named := self._named_class()) is not None:
                found += named
                continue
            low_at = self._at
            low = high = self._class_char()
            if self._ahead("-") and self._text[self._at + 1 : self._at + 2] not in {"]", ""}:
                self._at += 1
                high = self._class_char()
                if high < low:
                    raise BadPattern("invalid character class range", self._text[low_at : self._at])
            found.append((low, high))
        self._at += 1
        return Chars(tuple(found), negated=negated, folded="i" in self._flags)

    def _class_char(self) -> str:
        if self._at >= len(self._text):
            raise BadPattern("missing closing ]", self._text)
        char = self._text[self._at]
        self._at += 1
        return self._escape() if char == "\\" else char

    def _named_class(self) -> list[tuple[str, str]] | None:
        r"""`[:alpha:]`, `\d` and their opposites."""
        rest = self._text[self._at :]
        if rest.startswith("[:") and (stop := rest.find(":]")) > 0:
            name = rest[2:stop].removeprefix("^")
            if name not in POSIX:
                raise BadPattern("invalid character class range", rest[: stop + 2])
            self._at += stop + 2
            ranges = ranges_of(POSIX[name])
            return list(opposite(ranges) if rest[2] == "^" else ranges)
        if len(rest) > 1 and rest[0] == "\\" and rest[1].lower() in PERL:
            self._at += 2
            ranges = ranges_of(PERL[rest[1].lower()])
            return list(opposite(ranges) if rest[1].isupper() else ranges)
        return None

    # states

    def _literal(self, char: str) -> Chars:
        return Chars(((char, char),), folded="i" in self._flags)

    def _take(self, chars: Chars) -> _Part:
        state, after = self._state(), self._state()
        state.chars = chars
        state.to.append(after)
        return _Part(state, after)

    def _where(self, at: At) -> _Part:
        state = self._state()
        state.at = at
        return _Part(state, state)

    def _state(self) -> _State:
        self._states += 1
        if self._states > _MOST_STATES:
            raise BadPattern("expression too large", self._text)
        return _State()

    # the text

    def _ahead(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _is_count(self) -> bool:
        before = self._at
        counted = self._counted()
        self._at = before
        return counted is not None

    def _operator(self) -> str:
        start = self._at
        self._bounds()
        text, self._at = self._text[start : self._at], start
        return text


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and (len(text) == 1 or text[0] != "0")
