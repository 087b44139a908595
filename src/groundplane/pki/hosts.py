"""What kind of alternative name each entry of `hosts` becomes; CFSSL's rules, the first that matches wins.

An IP address (IPv4-mapped IPv6 is IPv4), an e-mail address (its bare address is kept), a URI (`scheme:rest`, a path
that begins with `/`, or `*` alone; see `gourl`), else a DNS name. So `localhost:8080` is a URI, as in CFSSL.
Refused: text that ASN.1's IA5String cannot hold, and white space or control characters in what is left for DNS.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

from groundplane.errors import Invalid
from groundplane.pki.name import AlternativeNames

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_DOTTED = rf"{_ATOM}(?:\.{_ATOM})*"
_QUOTED = r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e\t]|\\[\x20-\x7e\t])*"'
_MAILBOX = rf"(?:{_DOTTED}|{_QUOTED})@{_DOTTED}"
_COMMENT = r"[ \t]*(?:\([^()\\]*\)[ \t]*)*"
_EMAIL = re.compile(rf"[ \t]*(?:({_MAILBOX})|(?:[^<>@,;:\\\[\]\"]|{_QUOTED})*<({_MAILBOX})>){_COMMENT}")
_ESCAPED = re.compile(r"\\(.)")
_BLANK = re.compile(r"[\x00-\x20\x7f]")

Name = tuple[str, IPv4Address | IPv6Address | str]  # kind ("dns", "emails", "ips", "uris") and value


def classify(host: str, *, at: str, strict: bool = True) -> Name:
    """The kind of `host` and the value that the certificate gets. Raises Invalid, naming `at`.

    Not `strict`: a DNS name with blanks in it is taken as it stands, which is what CFSSL does.
    """
    found = _kind_of(host)
    if found is None:
        happened = f"{host!r} has characters that a certificate's names cannot hold"
        raise Invalid(happened, to=at, hint="write the ASCII form of the name (xn--…)")
    if strict and found[0] == "dns" and _BLANK.search(host):
        raise Invalid(f"{host!r} has white space or control characters in it", to=at, hint="one name for each entry")
    return found


def is_writable(host: str) -> bool:
    """Whether a certificate can hold it, whatever kind of name it is: a URL's path may have any characters."""
    return host.isascii() or _kind_of(host) is not None


def _kind_of(host: str) -> Name | None:
    """None for what is no address, and not ASCII."""
    if (":" in host or host[-1:].isdigit()) and (address := _address(host)) is not None:
        return "ips", address
    if "@" in host and (mailbox := _EMAIL.fullmatch(host)):
        return "emails", _plain(mailbox[1] or mailbox[2])
    if ":" in host or host.startswith("/") or host == "*":
        from groundplane.pki.gourl import normalized  # most hosts are no URLs

        if (uri := normalized(host)) is not None:
            return ("uris", uri) if uri.isascii() else None
    return ("dns", host) if host.isascii() else None


def _plain(mailbox: str) -> str:
    """Without quotes around what is before the @ (RFC 5322, section 3.2.4)."""
    if not mailbox.startswith('"'):
        return mailbox
    local, _, domain = mailbox.rpartition("@")
    return _ESCAPED.sub(r"\1", local[1:-1]) + "@" + domain


def alternative_names(hosts: Iterable[str], *, source: str, strict: bool = True) -> AlternativeNames:
    """All of `hosts` by kind, in order. Raises Invalid."""
    found: dict[str, list[IPv4Address | IPv6Address | str]] = {"dns": [], "emails": [], "ips": [], "uris": []}
    for number, host in enumerate(hosts):
        name = _kind_of(host)
        if name is None or strict:
            name = classify(host, at=f"{source}: hosts[{number}]", strict=strict)
        kind, value = name
        found[kind].append(value)
    return AlternativeNames(
        dns=tuple(map(str, found["dns"])),
        emails=tuple(map(str, found["emails"])),
        ips=tuple(value for value in found["ips"] if not isinstance(value, str)),
        uris=tuple(map(str, found["uris"])),
    )


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        if ":" not in host:
            return IPv4Address(host)
        address = IPv6Address(host)
    except ValueError:
        return None
    if address.scope_id is not None:  # a zone has a meaning on one host only; Go does not take it for an address
        return None
    return address.ipv4_mapped or address
