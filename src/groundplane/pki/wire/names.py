"""Two fields of a profile that are groundplane's own: which names it allows, and the name constraints of a CA.

"names": {"allow": {"dns": [".example.com"], "ip": ["10.0.0.0/8"], "email": ["@example.com"], "uri": ["spiffe://td/**"]},
          "deny": {"dns": ["secret.example.com"]}}
"name_constraints": {"permitted": {"dns": ["example.com"], "ip": ["10.0.0.0/8"]}, "excluded": {…}}
"""

from ipaddress import IPv4Network, IPv6Network, ip_network

from groundplane.pki.namerules import NameConstraints, NameRules, NameSpaces
from groundplane.pki.wire.json_tree import Node

_KINDS = ("dns", "email", "ip", "uri")


def name_rules(node: Node) -> NameRules:
    """The field `names`."""
    fields = node.fields(("allow", "deny"))
    return NameRules(
        allow=_spaces(fields["allow"], pattern=True) if "allow" in fields else None,
        deny=_spaces(fields["deny"], pattern=True) if "deny" in fields else NameSpaces(),
    )


def name_constraints(node: Node) -> NameConstraints:
    """The field `name_constraints`; RFC 5280 wants at least one subtree in it."""
    fields = node.fields(("permitted", "excluded"))
    found = NameConstraints(
        permitted=_spaces(fields["permitted"], pattern=False) if "permitted" in fields else NameSpaces(),
        excluded=_spaces(fields["excluded"], pattern=False) if "excluded" in fields else NameSpaces(),
    )
    if found == NameConstraints():
        raise node.refuse("it constrains nothing", hint='add "permitted": {"dns": ["example.com"]}, or remove it')
    return found


def _spaces(node: Node, *, pattern: bool) -> NameSpaces:
    fields = node.fields(_KINDS)

    def texts(kind: str) -> tuple[str, ...]:
        return tuple(_text(element) for element in fields[kind].elements()) if kind in fields else ()

    dns = texts("dns")
    if not pattern and (odd := next((name for name in dns if "*" in name), None)):
        raise fields["dns"].refuse(f"{odd!r}: a subtree has no wildcard", hint="write example.com for all below it")
    return NameSpaces(
        dns=dns,
        emails=texts("email"),
        networks=tuple(map(_network, fields["ip"].elements())) if "ip" in fields else (),
        uris=texts("uri"),
    )


def _text(node: Node) -> str:
    text = node.text()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise node.refuse(f"{text!r} is no name", hint="write it in ASCII, without blanks")
    return text


def _network(node: Node) -> IPv4Network | IPv6Network:
    try:
        return ip_network(node.text())
    except ValueError as bad:
        raise node.refuse(f"this is no network: {bad}", hint="write one such as 10.0.0.0/8") from bad
