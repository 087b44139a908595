"""A strict document, as JSON or, by the name of its file, as YAML; which costs nothing where there is none."""

import json

from groundplane.pki.wire.json_tree import Node, Object, parse_json

_YAML = (".yaml", ".yml")


def parse_document(data: bytes, *, source: str, strict: bool = True, nulls: bool = True) -> Node:
    """What `data` says. CFSSL's own programs are not `strict`, and know JSON alone.

    `nulls`: a field that is null was left out, as in Go; not so in files that are groundplane's own.
    Raises Invalid; when strict, also for a field that is given twice, wherever that is.
    """
    if not strict:
        return parse_json(data, source=source, strict=False)
    found = _yaml(data, source) if _is_yaml(source) else parse_json(data, source=source, strict=True)
    found = found if nulls else found.without_nulls()
    unseen = [found]
    while unseen:  # no recursion: JSON may be nested as deep as the stack is
        node = unseen.pop()
        if isinstance(node.value, Object):
            unseen.extend(child for _, child in node.items())
        elif isinstance(node.value, list):
            unseen.extend(node.elements())
    return found


def as_json(data: bytes, *, source: str) -> bytes:
    """The same document for who reads JSON alone. Raises Invalid."""
    return json.dumps(_plain(_yaml(data, source).value)).encode() if _is_yaml(source) else data


def _is_yaml(source: str) -> bool:
    return source.lower().endswith(_YAML)


def _yaml(data: bytes, source: str) -> Node:
    from groundplane.pki.wire.yaml_tree import parse_yaml

    return parse_yaml(data, source=source)


def _plain(value: object) -> object:
    """Without repeats, and no deeper than YAML's reader lets it be."""
    if isinstance(value, Object):
        return {name: _plain(inner) for name, inner in value.pairs}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
