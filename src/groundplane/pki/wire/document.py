"""A strict document, as JSON or, by the name of its file, as YAML; which costs nothing where there is none."""

from groundplane.pki.wire.json_tree import Node, parse_json

_YAML = (".yaml", ".yml")


def parse_document(data: bytes, *, source: str, strict: bool = True) -> Node:
    """What `data` says. CFSSL's own programs are not `strict`, and know JSON alone. Raises Invalid."""
    if strict and source.lower().endswith(_YAML):
        from groundplane.pki.wire.yaml_tree import parse_yaml

        return parse_yaml(data, source=source)
    return parse_json(data, source=source, strict=strict)
