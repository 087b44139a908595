"""Reads one mapping of a document, field by field, refusing what it was not asked for.

A refusal names the document and the path (`network.yaml document 2: spec.cidr`), and for an unknown field the nearest
known one. What other programs stored is read with `strict=False`: a newer writer's fields are passed over there.
"""

import difflib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import NoReturn, TypeVar

from groundplane.errors import Invalid

T = TypeVar("T")
E = TypeVar("E", bound=Enum)


class Fields:
    """One mapping. Every read counts its field as known; `done` then refuses the rest. A null counts as absent."""

    def __init__(self, values: object, *, at: str, path: str = "", strict: bool = True) -> None:
        self.at = at
        self.path = path
        self.strict = strict
        self._seen: set[str] = set()
        if not isinstance(values, Mapping):
            self.refuse(f"must be a mapping, not {_shown(values)}")
        self._values: Mapping[object, object] = values

    def where(self, name: str = "") -> str:
        """Name a field (or this mapping) as a message does."""
        path = ".".join(part for part in (self.path, name) if part)
        return f"{self.at}: {path}" if path else self.at

    def refuse(self, why: str, name: str = "", *, hint: str = "") -> NoReturn:
        """Raise `Invalid` about a field (or this mapping)."""
        raise Invalid(why, to=self.where(name), hint=hint)

    def has(self, name: str) -> bool:
        """Tell whether the field is there and not null."""
        return self._take(name) is not None

    def _take(self, name: str) -> object:
        self._seen.add(name)
        return self._values.get(name)

    def text(self, name: str, default: str = "") -> str:
        """Read a string; a YAML timestamp is turned back into one."""
        value = self._take(name)
        if value is None:
            return default
        if isinstance(value, datetime):
            return value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if not isinstance(value, str):
            self.refuse(f"must be a string, not {_shown(value)}", name, hint="put it in quotes")
        return value

    def needed(self, name: str) -> str:
        """Read a string that must be there."""
        value = self.text(name)
        if not value:
            self.refuse("is required", name)
        return value

    def parsed(self, name: str, parse: Callable[[str], T]) -> T | None:
        """Read a string through a parser that raises ValueError with its reason."""
        value = self.text(name)
        return self._through(parse, value, name) if value else None

    def required(self, name: str, parse: Callable[[str], T]) -> T:
        """Read likewise a string that must be there."""
        return self._through(parse, self.needed(name), name)

    def each(self, name: str, parse: Callable[[str], T], *, most: int = 0) -> tuple[T, ...]:
        """Read a list of strings through a parser."""
        values = self.texts(name)
        if most and len(values) > most:
            self.refuse(f"has {len(values)} entries, at most {most} are allowed", name)
        return tuple(self._through(parse, value, f"{name}[{n}]") for n, value in enumerate(values))

    def _through(self, parse: Callable[[str], T], value: str, name: str) -> T:
        try:
            return parse(value)
        except ValueError as failed:
            self.refuse(str(failed), name)

    def choice(self, name: str, options: type[E], default: E) -> E:
        """Read one of a closed set of words."""
        value = self.text(name)
        if not value:
            return default
        return self._option(value, options, name)

    def choices(self, name: str, options: type[E]) -> tuple[E, ...]:
        """Read a list of words of a closed set, without repetition."""
        found = tuple(self._option(value, options, f"{name}[{n}]") for n, value in enumerate(self.texts(name)))
        if len(set(found)) != len(found):
            self.refuse("names the same twice", name)
        return found

    def _option(self, value: str, options: type[E], name: str) -> E:
        try:
            return options(value)
        except ValueError:
            known = [str(option.value) for option in options]
            self.refuse(f"{value!r} is not one of {', '.join(known)}", name, hint=_nearest(value, known))

    def boolean(self, name: str, *, default: bool = False) -> bool:
        """Read true or false."""
        value = self._take(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.refuse(f"must be true or false, not {_shown(value)}", name)
        return value

    def integer(self, name: str, *, low: int, high: int) -> int | None:
        """Read a whole number between both, inclusive."""
        value = self._take(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            self.refuse(f"must be a whole number, not {_shown(value)}", name)
        if not low <= value <= high:
            self.refuse(f"{value} is not between {low} and {high}", name)
        return value

    def number(self, name: str) -> float | None:
        """Read a finite number."""
        value = self._take(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.refuse(f"must be a number, not {_shown(value)}", name)
        if not abs(value) < float("inf"):
            self.refuse("must be finite", name)
        return float(value)

    def anything(self, name: str) -> object:
        """Read a value of any type, to be taken apart by the caller."""
        return self._take(name)

    def values(self, name: str) -> tuple[object, ...]:
        """Read a list of anything."""
        value = self._take(name)
        if value is None:
            return ()
        if not isinstance(value, list | tuple):
            self.refuse(f"must be a list, not {_shown(value)}", name)
        return tuple(value)

    def texts(self, name: str) -> tuple[str, ...]:
        """Read a list of strings."""
        found = []
        for n, value in enumerate(self.values(name)):
            if not isinstance(value, str):
                self.refuse(f"must be a string, not {_shown(value)}", f"{name}[{n}]")
            found.append(value)
        return tuple(found)

    def table(self, name: str) -> dict[str, str]:
        """Read a mapping of strings to strings."""
        value = self._take(name)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.refuse(f"must be a mapping, not {_shown(value)}", name)
        for key, item in value.items():
            if not isinstance(key, str) or not isinstance(item, str):
                self.refuse(f"{key!r}: {item!r} is not a pair of strings", name, hint="put both in quotes")
        return dict(value)

    def sub(self, name: str) -> "Fields":
        """Enter a mapping; absent reads as an empty one."""
        value = self._take(name)
        return self._enter({} if value is None else value, name)

    def subs(self, name: str) -> tuple["Fields", ...]:
        """Enter a list of mappings."""
        return tuple(self._enter(value, f"{name}[{n}]") for n, value in enumerate(self.values(name)))

    def _enter(self, value: object, name: str) -> "Fields":
        path = f"{self.path}.{name}" if self.path else name
        return Fields(value, at=self.at, path=path, strict=self.strict)

    def passed_over(self, *names: str) -> None:
        """Count fields as known that a server fills in, and that say nothing to us."""
        self._seen.update(names)

    def done(self) -> None:
        """Refuse whatever was not read."""
        if not self.strict:
            return
        for name in self._values:
            if name not in self._seen:
                self.refuse("there is no such field", str(name), hint=_nearest(str(name), sorted(self._seen)))


def _nearest(word: str, known: list[str]) -> str:
    by_lower = {each.lower(): each for each in known}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f"did you mean {by_lower[found[0]]}?" if found else f"known: {', '.join(known)}"


def _shown(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case Mapping():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case _:
            return repr(value)[:40]
