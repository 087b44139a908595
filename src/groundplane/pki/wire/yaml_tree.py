"""The same documents written as YAML: the part of it that JSON has too.

Mappings, sequences, text, numbers, true, false and null; a date stays text. Refused: anchors and aliases (a few lines
of them are gigabytes), tags, keys that are no text, several documents.
"""

import yaml

from groundplane.errors import Invalid
from groundplane.pki.wire.json_tree import LARGEST, Node, Object

_DEEPEST = 60
_TEXT = "tag:yaml.org,2002:str"


def parse_yaml(data: bytes, *, source: str) -> Node:
    """The document, to be taken strictly. Raises Invalid with line and column."""
    if len(data) > LARGEST:
        raise Invalid(f"{len(data)} bytes are more than such a file can have", to=source, hint="name the right file")
    loader = None
    try:
        _refuse_anchors(data, source)
        loader = yaml.SafeLoader(data)
        root = loader.get_single_node()
        if root is None:
            raise Invalid("the file is empty", to=source, hint="name the right file")
        return Node(value=_value(root, loader, source, 0), source=source)
    except yaml.MarkedYAMLError as bad:
        mark = bad.problem_mark or bad.context_mark
        place = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark else source
        raise Invalid(f"this is not YAML: {bad.problem or bad.context}", to=place, hint="mend the file there") from bad
    except (yaml.YAMLError, UnicodeDecodeError) as bad:
        raise Invalid(
            f"this is not YAML: {str(bad).splitlines()[0]}", to=source, hint="save the file as UTF-8"
        ) from bad
    except RecursionError as deep:
        raise Invalid("nested too deeply", to=source, hint="name the right file") from deep
    except ValueError as bad:
        raise Invalid(f"this cannot be read: {bad}", to=source, hint="mend the file") from bad
    finally:
        if loader is not None:
            loader.dispose()


def _refuse_anchors(data: bytes, source: str) -> None:
    for token in yaml.scan(data, Loader=yaml.SafeLoader):
        if isinstance(token, yaml.AnchorToken | yaml.AliasToken | yaml.TagToken):
            place = f"{source}:{token.start_mark.line + 1}:{token.start_mark.column + 1}"
            raise Invalid("anchors, aliases and tags are not taken", to=place, hint="write it out")


def _value(node: yaml.Node, loader: yaml.SafeLoader, source: str, depth: int) -> object:
    if depth > _DEEPEST:
        raise Invalid("nested too deeply", to=_place(node, source), hint="name the right file")
    if isinstance(node, yaml.MappingNode):
        return Object(
            tuple((_name(key, source), _value(value, loader, source, depth + 1)) for key, value in node.value)
        )
    if isinstance(node, yaml.SequenceNode):
        return [_value(one, loader, source, depth + 1) for one in node.value]
    match node.tag:
        case "tag:yaml.org,2002:int" | "tag:yaml.org,2002:float" | "tag:yaml.org,2002:bool" | "tag:yaml.org,2002:null":
            found: object = loader.construct_object(node)
            return found
        case _:
            return str(node.value)


def _name(key: yaml.Node, source: str) -> str:
    if not isinstance(key, yaml.ScalarNode) or key.tag != _TEXT:
        raise Invalid("a field's name is text", to=_place(key, source), hint='put it in "quotes"')
    return str(key.value)


def _place(node: yaml.Node, source: str) -> str:
    return f"{source}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"
