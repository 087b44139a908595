"""JSON values into fields, by Go's rules and with Go's words for what does not fit.

Names match whatever their letter case; unknown ones are ignored, null leaves a field out. Of several of one name the
last wins, but objects are read into what is there already: structs and maps merge, and so do the elements of slices.
The first value of a wrong type is reported at the end, after everything else has been looked at.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from groundplane.pki.cfssl.errors import Plain
from groundplane.pki.cfssl.gojson import Number, Object, parse

_INT = re.compile(r"-?[0-9]+")
_LIMIT = 2**63

Fields = dict[str, object]


@dataclass(frozen=True, slots=True)
class Scalar:
    """A string, bool or int; `name` is Go's."""

    name: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """A slice of `element`."""

    element: "Shape"

    @property
    def name(self) -> str:
        """As Go says it."""
        return f"[]{self.element.name}"


@dataclass(frozen=True, slots=True)
class Mapped:
    """A map from strings."""

    element: "Shape"

    @property
    def name(self) -> str:
        """As Go says it."""
        return f"map[string]{self.element.name}"


@dataclass(frozen=True, slots=True)
class Struct:
    """A struct, `package.Name`, and its fields by their JSON names."""

    name: str
    fields: Mapping[str, "Shape"]
    short: str = field(init=False)
    folded: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "short", self.name.rpartition(".")[2])
        object.__setattr__(self, "folded", {name.casefold(): name for name in self.fields})

    def field_of(self, written: str) -> str | None:
        """The field that a name in JSON means."""
        return written if written in self.fields else self.folded.get(written.casefold())


@dataclass(frozen=True, slots=True)
class Custom:
    """A type that reads itself: `read` may raise Plain, which ends everything at once."""

    name: str
    read: Callable[[object], object]


Shape = Scalar | Sequence | Mapped | Struct | Custom

STRING, BOOL, INT = Scalar("string"), Scalar("bool"), Scalar("int")
ANY = Custom("interface {}", lambda value: value)
_TYPES: Mapping[str, type] = {"string": str, "bool": bool}


def decode(data: bytes, shape: Shape) -> object:
    """`data` as a value of `shape`: a dict of the fields that were given, a list, or a scalar. Raises Plain."""
    decoder = _Decoder()
    value = decoder.take(parse(data), shape, "", ())
    if decoder.trouble:
        raise Plain(decoder.trouble)
    return value


def decode_fields(data: bytes, shape: Struct | Mapped) -> Fields:
    """`data` as the fields of a struct, or the entries of a map; none for null. Raises Plain."""
    value = decode(data, shape)
    return value if isinstance(value, dict) else {}


def united(value: object, shape: Shape) -> object:
    """The same value with every field of a struct once, as `decode` understands it: for readers with other ideas."""
    match shape, value:
        case Struct(), Object():
            found: dict[str, object] = {}
            for written, inner in value.pairs:
                name = shape.field_of(written)
                known = name is not None and name in found
                found[name or written] = _merged(found[name], inner, shape.fields[name]) if name and known else inner
            shapes = shape.fields
            given = ((name, inner) for name, inner in found.items() if inner is not None)
            return Object(tuple((name, united(inner, shapes.get(name, ANY))) for name, inner in given))
        case Mapped(), Object():
            return Object(tuple((name, united(inner, shape.element)) for name, inner in dict(value.pairs).items()))
        case Sequence(), list():
            return [united(inner, shape.element) for inner in value]
        case Scalar("string"), None:
            return ""  # in a slice; a field that is null is one that was left out
        case _:
            return value


def _merged(old: object, new: object, shape: Shape) -> object:
    """What is in a variable that `old` was read into, and then `new`."""
    match shape, old, new:
        case Scalar(), _, None:
            return old
        case Struct(), Object(), Object():
            return Object((*old.pairs, *new.pairs))
        case Mapped(), Object(), Object():
            return Object(tuple({**dict(old.pairs), **dict(new.pairs)}.items()))
        case Sequence(), list(), list():
            both = [_merged(one, other, shape.element) for one, other in zip(old, new, strict=False)]
            return [*both, *new[len(both) :]]
        case _:
            return new


@dataclass(slots=True)
class _Decoder:
    trouble: str = field(default="")

    def take(self, value: object, shape: Shape, struct: str, path: tuple[str, ...]) -> object:  # noqa: PLR0911 - a table
        """`value` as `shape`, or None for null and for what does not fit."""
        if shape is STRING and isinstance(value, str):  # the usual case
            return value
        if isinstance(shape, Custom):
            return shape.read(value)
        if value is None:
            return None
        match shape, value:
            case Struct(), Object():
                return self._struct(value, shape, path)
            case Mapped(), Object():
                return {key: self.take(inner, shape.element, struct, path) for key, inner in value.pairs}
            case Sequence(), list():
                return [self.take(inner, shape.element, struct, path) for inner in value]
            case Scalar("int"), Number(text):
                if _INT.fullmatch(text) and -_LIMIT <= int(text) < _LIMIT:
                    return int(text)
                self._refuse(f"number {text}", shape, struct, path)
            case Scalar(name), _ if name in _TYPES and isinstance(value, _TYPES[name]):
                return value
            case _:
                self._refuse(kind_of(value), shape, struct, path)
        return None

    def _struct(self, value: Object, shape: Struct, path: tuple[str, ...]) -> Fields:
        found: Fields = {}
        seen: dict[str, object] = {}
        for written, inner in value.pairs:
            name = shape.field_of(written)
            if name is None:
                continue
            if name in seen:
                inner = _merged(seen[name], inner, shape.fields[name])  # noqa: PLW2901 - both of them
            seen[name] = inner
            taken = self.take(inner, shape.fields[name], shape.short, (*path, name))
            if taken is not None:
                found[name] = taken
            elif not isinstance(shape.fields[name], Scalar):
                found.pop(name, None)  # null empties a slice, a map or a pointer; it leaves a scalar alone
        return found

    def _refuse(self, what: str, shape: Shape, struct: str, path: tuple[str, ...]) -> None:
        if not self.trouble:
            place = f"struct field {struct}.{'.'.join(path)}" if path else "value"
            self.trouble = f"json: cannot unmarshal {what} into Go {place} of type {shape.name}"


def kind_of(value: object) -> str:
    """What Go calls a value of JSON."""
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case Number():
            return "number"
        case list():
            return "array"
        case _:
            return "object"
