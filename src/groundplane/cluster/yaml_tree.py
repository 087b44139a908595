"""YAML whose every value knows where it stands, so that an error can name the file, the line and the field.

Only the safe core of YAML is read: mappings with text keys, lists, and scalars as written (`yes` stays text). Aliases
are followed; a key given twice is refused, because one of the two would be lost in silence.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from groundplane.errors import Invalid

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A YAML node, the file it is in, and its path from the document's root (such as `hosts[1].address`)."""

    node: yaml.Node
    source: str
    path: str

    @property
    def at(self) -> str:
        """`file:line:column: path`, for error messages."""
        mark = self.node.start_mark
        place = f"{self.source}:{mark.line + 1}:{mark.column + 1}"
        return f"{place}: {self.path}" if self.path else place

    def refuse(self, happened: str, *, hint: str = "") -> Invalid:
        """The error to raise about this value."""
        return Invalid(happened, to=self.at, hint=hint)

    def mapping(self, *, required: Iterable[str] = (), optional: Iterable[str] = ()) -> dict[str, "Field"]:
        """The fields by name. Refuses what is not a mapping, unknown, missing and repeated fields."""
        required = tuple(required)
        known = (*required, *optional)
        found = dict(self.items())
        for name, field in found.items():
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
                raise field.refuse("unknown field", hint=hint)
        for name in required:
            if name not in found:
                raise self.refuse(f"the field {name!r} is missing", hint=f"add `{name}:` here")
        return found

    def items(self) -> Iterator[tuple[str, "Field"]]:
        """Name and value of each entry of a mapping, in order. Refuses keys that are not text, and repeated ones."""
        if not isinstance(self.node, yaml.MappingNode):
            raise self.refuse(f"a mapping is wanted here, not {_kind(self.node)}", hint="write `name: value` pairs")
        seen: set[str] = set()
        for key, value in self.node.value:
            where = Field(node=key, source=self.source, path=self.path)
            if not isinstance(key, yaml.ScalarNode):
                raise where.refuse("a field's name must be text")
            name = str(key.value)
            path = f"{self.path}.{name}" if self.path else name
            if name in seen:
                again = Field(node=key, source=self.source, path=path)
                raise again.refuse("given twice", hint="remove one of the two")
            seen.add(name)
            yield name, Field(node=value, source=self.source, path=path)

    def sequence(self) -> list["Field"]:
        """The elements of a list."""
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.refuse(
                f"a list is wanted here, not {_kind(self.node)}", hint="write `[a, b]` or one `- item` a line"
            )
        return [
            Field(node=child, source=self.source, path=f"{self.path}[{number}]")
            for number, child in enumerate(self.node.value)
        ]

    def text(self) -> str:
        """A scalar as it is written. Refuses null and empty text."""
        if not isinstance(self.node, yaml.ScalarNode):
            raise self.refuse(f"text is wanted here, not {_kind(self.node)}")
        value = str(self.node.value)
        if not value or self.node.tag == "tag:yaml.org,2002:null":
            raise self.refuse("is empty", hint="give a value, or remove the field")
        if any(ord(letter) < 32 and letter not in "\t\n" for letter in value):  # noqa: PLR2004 - C0 controls
            raise self.refuse("holds a control character")
        return value

    def boolean(self) -> bool:
        """`true` or `false`."""
        value = self.plain()
        if not isinstance(value, bool):
            raise self.refuse("must be true or false")
        return value

    def choice(self, allowed: Iterable[str]) -> str:
        """One of `allowed`, nearest named otherwise."""
        value, allowed = self.text(), tuple(allowed)
        if value not in allowed:
            near = difflib.get_close_matches(value, allowed, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"use one of: {', '.join(allowed)}"
            raise self.refuse(f"{value!r} is not known", hint=hint)
        return value

    def plain(self) -> object:
        """The value as plain Python data (dict, list, str, int, float, bool, None)."""
        # Checked for repeated keys on the way, which the constructor would swallow.
        if isinstance(self.node, yaml.MappingNode):
            return {name: field.plain() for name, field in self.items()}
        if isinstance(self.node, yaml.SequenceNode):
            return [field.plain() for field in self.sequence()]
        loader = _Loader("")
        try:
            return loader.construct_object(self.node)
        except (yaml.YAMLError, ValueError) as bad:
            raise self.refuse(f"cannot be read: {bad}") from bad
        finally:
            loader.dispose()


def read(path: Path) -> bytes:
    """The bytes of `path`; Invalid with a mend where it cannot be read."""
    try:
        return path.read_bytes()
    except IsADirectoryError as folder:
        raise Invalid("is a directory, not a file", to=path) from folder
    except OSError as bad:
        raise Invalid(f"cannot be read: {bad.strerror}", to=path, hint="check the path") from bad


def documents(data: bytes, *, source: str) -> list[Field]:
    """Every document of a YAML stream; empty ones are left out. Raises Invalid with line and column."""
    try:
        nodes = list(yaml.compose_all(data, Loader=_Loader))
    except yaml.MarkedYAMLError as bad:
        mark = bad.problem_mark or bad.context_mark
        place = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark else source
        raise Invalid(f"is not YAML: {bad.problem or bad.context}", to=place, hint="mend it there") from bad
    except (yaml.YAMLError, UnicodeDecodeError) as bad:
        raise Invalid(f"is not YAML: {' '.join(str(bad).split())}", to=source, hint="save it as UTF-8 text") from bad
    except RecursionError as deep:
        raise Invalid("is nested too deeply", to=source) from deep
    return [Field(node=node, source=source, path="") for node in nodes if node is not None]


def plain_mapping(field: Field) -> Mapping[str, object]:
    """A whole mapping as plain data."""
    value = field.plain()
    if not isinstance(value, dict):
        raise field.refuse("a mapping is wanted here")
    return value


def _kind(node: yaml.Node) -> str:
    match node:
        case yaml.MappingNode():
            return "a mapping"
        case yaml.SequenceNode():
            return "a list"
        case _:
            return "a single value"
