"""What profiles refer to: the keys of tokens (`auth_keys`) and other servers (`remotes`), read strictly.

CFSSL looks only at those that a profile names, and at nothing in them but what it knows.
"""

import re
from collections.abc import Mapping

from groundplane.pki.wire.json_tree import Node, nearest

_KEY = re.compile(r"(?:env|file):.+|(?:[0-9A-Fa-f]{2})+", re.DOTALL)


def check_sections(fields: Mapping[str, Node]) -> None:
    """`auth_keys` and `remotes`. Raises Invalid, which never says a key."""
    for name, node in fields["auth_keys"].items() if "auth_keys" in fields else ():
        _check_key(node, name)
    for _, node in fields["remotes"].items() if "remotes" in fields else ():
        if not node.text():
            raise node.refuse("this remote has no address", hint='write "HOST:PORT"')


def check_profile(fields: Mapping[str, Node], named: Mapping[str, list[str]]) -> None:
    """`remote`, or `auth_remote`: one and the key for it, each of which there has to be. Raises Invalid."""
    if "remote" in fields and not fields["remote"].text():
        raise fields["remote"].refuse("it names no remote", hint="remove it, or name one of remotes")
    if "auth_remote" not in fields:
        return
    node = fields["auth_remote"]
    inner = node.fields(("remote", "auth_key"))
    for name, section in (("remote", "remotes"), ("auth_key", "auth_keys")):
        text = inner[name].text() if name in inner else ""
        if not text:
            raise node.refuse(f'there is no "{name}"', hint=f'add "{name}", one of {section}')
        if text not in named[section]:
            raise inner[name].refuse(f"{text!r} is not in {section}", hint=nearest(text, named[section]))
    if "remote" in fields:
        raise fields["remote"].refuse("there is an auth_remote, too", hint="remove one of the two")


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
