"""Which names a profile allows, kind by kind: groundplane's own field `names`, beside CFSSL's one pattern for all.

A DNS pattern is a name (`db.example.com`), one label more (`*.example.com`) or any depth (`.example.com`, which is not
`example.com` itself). A request's own wildcard counts as a label. An e-mail pattern is a mailbox or, from its `@` on,
a host; addresses are given as networks; `*` in a URI pattern stands for any characters but `/`, `**` for any.
"""

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from groundplane.pki.name import AlternativeNames


@dataclass(frozen=True, slots=True, kw_only=True)
class NameSpaces:
    """Patterns, or for name constraints (RFC 5280, 4.2.1.10) subtrees, of each kind of name."""

    dns: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    uris: tuple[str, ...] = ()

    def holds(self, names: AlternativeNames) -> tuple[str, ...]:
        """Those of `names` that a pattern matches."""
        return (
            *(name for name in names.dns if any(_dns(name, pattern) for pattern in self.dns)),
            *(name for name in names.emails if any(_email(name, pattern) for pattern in self.emails)),
            *(str(ip) for ip in names.ips if any(ip in network for network in self.networks)),
            *(name for name in names.uris if any(_uri(name, pattern) for pattern in self.uris)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRules:
    """`allow` None: everything but what `deny` has. With `allow`, what it does not name is refused, whatever kind."""

    allow: NameSpaces | None = None
    deny: NameSpaces = field(default_factory=NameSpaces)

    def refused(self, names: AlternativeNames, common_name: str) -> str | None:
        """The first name that is not allowed. A common name that is none of the others counts as a DNS name."""
        if common_name and common_name not in names.texts():
            names = AlternativeNames(dns=(*names.dns, common_name), emails=names.emails, ips=names.ips, uris=names.uris)
        if denied := self.deny.holds(names):
            return denied[0]
        if self.allow is None:
            return None
        allowed = set(self.allow.holds(names))
        return next((name for name in names.texts() if name not in allowed), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class NameConstraints:
    """What a CA may issue for, by whoever checks a chain through it. A DNS subtree `example.com` has all below it."""

    permitted: NameSpaces = field(default_factory=NameSpaces)
    excluded: NameSpaces = field(default_factory=NameSpaces)


def _dns(name: str, pattern: str) -> bool:
    name, pattern = name.lower().rstrip("."), pattern.lower().rstrip(".")
    if pattern.startswith("."):
        return name.endswith(pattern) and len(name) > len(pattern)
    if pattern.startswith("*."):
        label, dot, rest = name.partition(".")
        return bool(label and dot) and rest == pattern[2:]
    return name == pattern


def _email(name: str, pattern: str) -> bool:
    mailbox, _, host = name.rpartition("@")
    wanted, at, wanted_host = pattern.rpartition("@")
    return bool(at) and host.lower() == wanted_host.lower() and wanted in {"", mailbox}


def _uri(name: str, pattern: str) -> bool:
    parts = re.split(r"(\*\*|\*)", pattern)
    expression = "".join({"*": "[^/]*", "**": ".*"}.get(part, re.escape(part)) for part in parts)
    return re.fullmatch(expression, name) is not None
