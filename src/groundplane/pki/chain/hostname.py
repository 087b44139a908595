"""Is a certificate for this host? RFC 6125 as Go applies it: alternative names only, one `*` for the first label."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

from groundplane.pki.chain.link import Link
from groundplane.pki.chain.model import ChainRefused, Reason

_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_-])?")


def check_host(it: Link, host: str) -> None:
    """Raises ChainRefused, with the names that it has, unless `host` (a name, or an address) is one of them."""
    names = it.names
    if address := _address(host):
        if names is not None and address in names.addresses:
            return
    else:
        wanted = host.lower()
        for pattern in names.dns if names is not None else ():
            if _is_host(wanted) and _is_host(pattern, pattern=True):
                if _matches(pattern, wanted):
                    return
            elif pattern and wanted and pattern.lower() == wanted:
                return
    hint = "ask for one of its names, or issue it for this one"
    raise ChainRefused(Reason.OTHER, f"x509: {_words(it, host, address)}", to=it.title, hint=hint)


def _words(it: Link, host: str, address: IPv4Address | IPv6Address | None) -> str:
    names = it.names
    if names is None and _matches(it.common_name, host):
        return "certificate relies on legacy Common Name field, use SANs instead"
    if address is not None:
        if names is None or not names.addresses:
            return f"cannot validate certificate for {host} because it doesn't contain any IP SANs"
        valid = ", ".join(map(str, names.addresses))
    else:
        valid = ", ".join(names.dns) if names is not None else ""
    if not valid:
        return f"certificate is not valid for any names, but wanted to match {host}"
    return f"certificate is valid for {valid}, not {host}"


def _address(host: str) -> IPv4Address | IPv6Address | None:
    text = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _is_host(name: str, *, pattern: bool = False) -> bool:
    """Letters, digits, hyphens and underscores between dots; a pattern's first label may be a star."""
    labels = (name if pattern else name.removesuffix(".")).split(".")
    if pattern and labels[0] == "*" and len(labels) > 1:
        labels = labels[1:]
    return all(_LABEL.fullmatch(label) for label in labels)


def _matches(pattern: str, host: str) -> bool:
    pattern, host = pattern.lower(), host.lower().removesuffix(".")
    if not pattern or not host:
        return False
    wanted, labels = pattern.split("."), host.split(".")
    if len(wanted) != len(labels):
        return False
    first = 1 if wanted[0] == "*" else 0
    return wanted[first:] == labels[first:]
