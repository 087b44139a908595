"""Which identifiers there are, and which of them this server certifies: RFC 8555, 7.1.4 and 9.7.7; RFC 8738.

DNS names are preferred-name syntax in ASCII (RFC 5890's A-labels for the rest), lower-cased, without a final dot.
Addresses are in their one canonical text (RFC 5952 for IPv6). Policy: `name` allows it itself, `*.name` all below it,
`*` everything; what is denied stays so whatever is allowed. A kind with nothing allowed is not supported at all.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from groundplane.errors import Invalid
from groundplane.pki.acme.model import ChallengeType, Identifier, IdentifierType
from groundplane.pki.acme.problem import Problem, Type, malformed, of_many

Network = IPv4Network | IPv6Network
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LONGEST = 253
_SHOWN = 80


def parse_identifier(kind: object, value: object) -> Identifier:
    """One identifier of a request. Raises Problem: malformed, unsupportedIdentifier or rejectedIdentifier."""
    if not isinstance(kind, str) or not isinstance(value, str):
        raise malformed('an identifier is {"type": string, "value": string}')
    match kind:
        case "dns":
            return Identifier(IdentifierType.DNS, _dns(value))
        case "ip":
            return Identifier(IdentifierType.IP, _address(value))
        case _:
            raise Problem(Type.UNSUPPORTED_IDENTIFIER, f"identifiers of type {kind[:_SHOWN]!r} are not supported")


def _dns(value: str) -> str:
    name = value.lower()
    labels = name.removeprefix("*.").split(".")
    if len(name) > _LONGEST or not all(map(_LABEL.fullmatch, labels)):
        detail = f"{value[:_SHOWN]!r} is not a DNS name of letters, digits and hyphens (write others as xn--…)"
        raise malformed(detail)
    if labels[-1].isdigit():  # no top-level domain is a number, and resolvers take 127.1 for an address
        raise malformed(f"{value[:_SHOWN]!r} ends like an address; an address has the type ip")
    return name


def _address(value: str) -> str:
    try:
        address = ip_address(value)
    except ValueError as bad:
        raise malformed(f"{value[:_SHOWN]!r} is not an IP address") from bad
    if "%" in value or str(address) != value.lower():
        raise malformed(f"{value[:_SHOWN]!r} is not the canonical text of {str(address)[:_SHOWN]} (RFC 8738, 3)")
    return str(address)


def parse_identifiers(value: object, *, most: int) -> tuple[Identifier, ...]:
    """A new order's `identifiers`: each once, in their order. Raises Problem."""
    if not isinstance(value, list) or not value:
        raise malformed('"identifiers" is a list of at least one identifier')
    if len(value) > most:
        raise malformed(f"an order has {most} identifiers at most")
    found: list[Identifier] = []
    for item in value:
        if not isinstance(item, dict):
            raise malformed('an identifier is {"type": string, "value": string}')
        found.append(parse_identifier(item.get("type"), item.get("value")))
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRules:
    """Patterns of DNS names."""

    exact: frozenset[str] = frozenset()
    below: frozenset[str] = frozenset()
    everything: bool = False

    def match(self, name: str) -> bool:
        """Whether `name`, no wildcard, is one of them."""
        labels = name.split(".")
        parents = (".".join(labels[start:]) for start in range(1, len(labels)))
        return self.everything or name in self.exact or any(parent in self.below for parent in parents)

    def covers_below(self, name: str) -> bool:
        """Whether all names one label below `name` are of them."""
        return name in self.below or self.match(f"x.{name}")

    def meets_below(self, name: str) -> bool:
        """Whether any name one label below `name` is of them."""
        return self.covers_below(name) or any(exact.partition(".")[2] == name for exact in self.exact)


def parse_rules(patterns: Iterable[str], *, at: str) -> NameRules:
    """Rules from their texts. Raises Invalid."""
    exact: set[str] = set()
    below: set[str] = set()
    everything = False
    for pattern in patterns:
        if pattern == "*":
            everything = True
            continue
        try:
            name = _dns(pattern)
        except Problem as bad:
            hint = "write name, *.name for all below it, or * for every name"
            raise Invalid(bad.happened, to=at, hint=hint) from bad
        (below if name.startswith("*.") else exact).add(name.removeprefix("*."))
    return NameRules(exact=frozenset(exact), below=frozenset(below), everything=everything)


def parse_networks(texts: Iterable[str], *, at: str) -> tuple[Network, ...]:
    """Networks in CIDR form. Raises Invalid."""
    found: list[Network] = []
    for text in texts:
        try:
            found.append(ip_network(text))
        except ValueError as bad:
            raise Invalid(f"{text!r} is not a network: {bad}", to=at, hint="write one such as 10.0.0.0/8") from bad
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifierPolicy:
    """What this server certifies."""

    allowed_names: NameRules = NameRules()
    denied_names: NameRules = NameRules()
    allowed_networks: tuple[Network, ...] = ()
    denied_networks: tuple[Network, ...] = ()
    wildcards: bool = False

    def supports(self, kind: IdentifierType) -> bool:
        """Whether any identifier of this kind is certified."""
        if kind is IdentifierType.IP:
            return bool(self.allowed_networks)
        return bool(self.allowed_names.exact or self.allowed_names.below or self.allowed_names.everything)

    def refusal(self, identifier: Identifier) -> Problem | None:
        """Why `identifier` is not certified, or None."""
        if not self.supports(identifier.type):
            detail = f"identifiers of type {identifier.type.value!r} are not supported"
            return Problem(Type.UNSUPPORTED_IDENTIFIER, detail, identifier=identifier)
        if identifier.wildcard and not self.wildcards:
            return Problem(Type.REJECTED_IDENTIFIER, "this server issues no wildcards", identifier=identifier)
        allowed = self._allows_address if identifier.type is IdentifierType.IP else self._allows_name
        if not allowed(identifier):
            detail = f"the server's policy does not allow {identifier.value!r}"
            return Problem(Type.REJECTED_IDENTIFIER, detail, identifier=identifier)
        return None

    def check(self, identifiers: Iterable[Identifier]) -> None:
        """Raises Problem, with a subproblem for each identifier that is not allowed."""
        refused = [problem for problem in map(self.refusal, identifiers) if problem is not None]
        if refused:
            raise of_many(refused, summary="some of the identifiers are not allowed")

    def _allows_name(self, identifier: Identifier) -> bool:
        name = identifier.base
        if identifier.wildcard:
            return self.allowed_names.covers_below(name) and not self.denied_names.meets_below(name)
        return self.allowed_names.match(name) and not self.denied_names.match(name)

    def _allows_address(self, identifier: Identifier) -> bool:
        address = ip_address(identifier.value)
        if any(address in network for network in self.denied_networks):
            return False
        return any(address in network for network in self.allowed_networks)


def challenge_types(identifier: Identifier, offered: Iterable[ChallengeType]) -> tuple[ChallengeType, ...]:
    """How control can be proved: a wildcard only by DNS (RFC 8555, 7.1.3), an address never by it (RFC 8738, 7)."""
    return tuple(
        kind
        for kind in offered
        if not (identifier.wildcard and kind is not ChallengeType.DNS)
        and not (identifier.type is IdentifierType.IP and kind is ChallengeType.DNS)
    )
