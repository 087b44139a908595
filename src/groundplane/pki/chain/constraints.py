"""Name constraints of RFC 5280, 4.2.1.10: what a CA may not speak for.

DNS names, e-mail addresses, URIs' hosts and IP addresses. A constraint `example.com` covers the domain and all below
it, `.example.com` only what is below. Kinds of constraint beyond these make the CA unusable if they are critical.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from groundplane.pki.chain.link import Link, Names

_MOST = 250_000  # comparisons, as in Go: names times constraints is what a hostile CA could make large


class TooMany(Exception):
    """More comparisons than a chain is worth."""


class Budget:
    """How many comparisons are left for one certificate of a chain."""

    def __init__(self, most: int = _MOST) -> None:
        self.left = most

    def spend(self, comparisons: int) -> None:
        """Raises TooMany when there are none left."""
        self.left -= comparisons
        if self.left < 0:
            raise TooMany


def forbidden_name(issuer: Link, below: Iterable[Link]) -> str:
    """What `issuer` may not speak for, of the names of the certificates `below`; empty if nothing. Raises TooMany."""
    budget = Budget()
    for it in below:
        if it.names is not None and (words := _forbidden(issuer, it.names, budget)):
            return words
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """One kind of name: how Go calls it, both lists of constraints, and how one covers a name."""

    called: str
    permitted: tuple[str, ...]
    excluded: tuple[str, ...]
    covers: Callable[[str, str], bool]

    def forbidden(self, name: str, budget: Budget) -> str:
        budget.spend(len(self.permitted) + len(self.excluded))
        for constraint in self.excluded:
            if self.covers(name, constraint):
                return f'{self.called} "{name}" is excluded by constraint "{constraint}"'
        if self.permitted and not any(self.covers(name, constraint) for constraint in self.permitted):
            return f'{self.called} "{name}" is not permitted by any constraint'
        return ""


def _forbidden(issuer: Link, names: Names, budget: Budget) -> str:
    yes, no = issuer.permitted, issuer.excluded
    mail = _Kind(called="email address", permitted=yes.emails, excluded=no.emails, covers=_covers_mail)
    dns = _Kind(called="DNS name", permitted=yes.dns, excluded=no.dns, covers=covers_domain)
    uri = _Kind(called="URI", permitted=yes.uris, excluded=no.uris, covers=_covers_uri)
    address = _Kind(
        called="IP address",
        permitted=tuple(map(str, yes.networks)),
        excluded=tuple(map(str, no.networks)),
        covers=_covers_address,
    )
    every = (
        *((mail, name, _unreadable_mail(name)) for name in names.emails),
        *((dns, name, "" if _labels(name) else f'cannot parse dnsName "{name}"') for name in names.dns),
        *((uri, name, _unreadable_uri(name) if uri.permitted or uri.excluded else "") for name in names.uris),
        *((address, str(it), "") for it in names.addresses),
    )
    for kind, name, unreadable in every:
        if words := unreadable or kind.forbidden(name, budget):
            return words
    return ""


def _unreadable_mail(mail: str) -> str:
    fine = mail.count("@") == 1 and _labels(mail.rpartition("@")[2])
    return "" if fine else f'cannot parse rfc822Name "{mail}"'


def _unreadable_uri(uri: str) -> str:
    host = _host_of(uri)
    if host and not _is_address(host):
        return ""
    return f'URI with {"IP" if host else "empty host"} ("{uri}") cannot be matched against constraints'


def covers_domain(domain: str, constraint: str) -> bool:
    """Whether `constraint` covers `domain`; the empty one covers everything."""
    if not constraint:
        return True
    below_only = constraint.startswith(".")
    wanted, labels = _labels(constraint.removeprefix(".")), _labels(domain)
    if not wanted or not labels:
        return False
    if len(labels) < len(wanted) + below_only:
        return False
    return labels[len(labels) - len(wanted) :] == wanted


def _covers_mail(mail: str, constraint: str) -> bool:
    """A whole address, or as a domain: Go takes `example.com` for all domains below it as well."""
    local, _, domain = mail.rpartition("@")
    if "@" in constraint:
        their_local, _, their_domain = constraint.rpartition("@")
        return local == their_local and domain.lower() == their_domain.lower()
    return covers_domain(domain, constraint)


def _covers_uri(uri: str, constraint: str) -> bool:
    return covers_domain(_host_of(uri), constraint)


def _covers_address(address: str, constraint: str) -> bool:
    it, network = ip_address(address), ip_network(constraint)
    return it.version == network.version and it in network


def _host_of(uri: str) -> str:
    try:
        return urlsplit(uri).hostname or ""
    except ValueError:
        return ""


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def _labels(domain: str) -> list[str]:
    """In lower case; none for what is no name."""
    labels = domain.lower().split(".")
    if not all(labels) or any(not 0x21 <= ord(character) <= 0x7E for label in labels for character in label):  # noqa: PLR2004 - what ASCII can print
        return []
    return labels
