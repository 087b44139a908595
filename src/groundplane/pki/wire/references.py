"""What profiles refer to: the keys of tokens (`auth_keys`) and other servers (`remotes`), read strictly.

CFSSL looks only at those that a profile names, and at nothing in them but what it knows.
"""

import re
from collections.abc import Mapping

from groundplane.pki.model import Remote
from groundplane.pki.wire.json_tree import Node, nearest

_KEY = re.compile(r"(?:env|file):.+|(?:[0-9A-Fa-f]{2})+", re.DOTALL)


def check_sections(fields: Mapping[str, Node]) -> None:
    """`auth_keys` and `remotes`. Raises Invalid, which never says a key."""
    for name, node in fields["auth_keys"].items() if "auth_keys" in fields else ():
        _check_key(node, name)
    for _, node in fields["remotes"].items() if "remotes" in fields else ():
        if not node.text():
            raise node.refuse("this remote has no address", hint='write "HOST:PORT"')


def check_profile(fields: Mapping[str, Node]) -> None:
    """`remote`, or `auth_remote`: one and the key for it, each of which there has to be. Raises Invalid."""
    if "remote" in fields and not fields["remote"].text():
        raise fields["remote"].refuse("it names no remote", hint="remove it, or name one of remotes")
    if "auth_remote" not in fields:
        return
    node = fields["auth_remote"]
    inner = node.fields(("remote", "auth_key"))
    for name, section in (("remote", "remotes"), ("auth_key", "auth_keys")):
        if not _text(inner, name):
            raise node.refuse(f'there is no "{name}"', hint=f'add "{name}", one of {section}')
    if "remote" in fields:
        raise fields["remote"].refuse("there is an auth_remote, too", hint="remove one of the two")


def remote_of(fields: Mapping[str, Node], named: Mapping[str, Mapping[str, Node]]) -> Remote | None:
    """Where the profile is signed, if not here. Raises Invalid for what is not there."""
    inner = fields["auth_remote"].fields(("remote", "auth_key")) if "auth_remote" in fields else {}
    where = _referred(inner, "remote", named["remotes"]) or _referred(fields, "remote", named["remotes"])
    if where is None:
        return None
    key = _referred(inner, "auth_key", named["auth_keys"])
    return Remote(address=where.text(), auth_key=_text(key.fields(("type", "key")), "key") if key else "")


def _referred(fields: Mapping[str, Node], field: str, named: Mapping[str, Node]) -> Node | None:
    if not (name := _text(fields, field)):
        return None
    if name not in named:
        hint = nearest(name, named)
        raise fields[field].refuse(f"{name!r} is not in {'remotes' if field == 'remote' else 'auth_keys'}", hint=hint)
    return named[name]


def _text(fields: Mapping[str, Node], name: str) -> str:
    return fields[name].text() if name in fields else ""


def _check_key(node: Node, name: str) -> None:
    fields = node.fields(("type", "key"))
    for wanted in ("type", "key"):
        if wanted not in fields:
            raise node.refuse(
                f'there is no "{wanted}"', hint=f'write "{name}": {{"type": "standard", "key": "env:KEY"}}'
            )
    if (kind := fields["type"].text()) != "standard":
        raise fields["type"].refuse(f"unknown type of key {kind!r}", hint='write "standard"')
    if not _KEY.fullmatch(fields["key"].text()):
        raise fields["key"].refuse("this is no key", hint='write it in hex, or "env:NAME" or "file:PATH"')
