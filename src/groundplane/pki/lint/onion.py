"""Names of onion services, and the extension that says which keys they have (EV Guidelines, appendix F)."""

import re
from typing import NamedTuple

from groundplane.pki.lint import domains, oids, read
from groundplane.pki.lint.read import Malformed
from groundplane.pki.lint.view import View

_BASE32 = re.compile(r"[a-z2-7]{16}")
_DIGESTS = {f"2.16.840.1.101.3.4.2.{number}": bits for number, bits in ((1, 256), (2, 384), (3, 512))}


class Descriptor(NamedTuple):
    """Which service, the digest's identifier, and how many bits the digest has."""

    uri: str
    digest: str
    bits: int


def names(view: View) -> tuple[str, ...]:
    """DNS names and the common name."""
    return (*view.san.dns, view.common_name)


def is_onion(view: View) -> bool:
    """Whether one of its names is an onion service's."""
    return any(name.endswith(".onion") for name in names(view))


def onion_v2(view: View) -> bool:
    """Whether one of them begins with an address of version 2."""
    return any(name.endswith("onion") and _BASE32.fullmatch(name.split(".")[0]) for name in names(view))


def descriptors_of(value: bytes) -> tuple[Descriptor, ...]:
    """TorServiceDescriptorSyntax. Raises Malformed."""
    found = []
    for member in read.sequence(value):
        try:
            uri, digest, bits = member.members
            octets = len(bits.content) - 1
            oid = read.dotted(digest.members[0].content)
        except (ValueError, IndexError) as bad:
            raise Malformed("this is no descriptor") from bad
        found.append(Descriptor(uri.content.decode("utf-8", "replace"), oid, octets * 8 - bits.content[0]))
    return tuple(found)


def descriptors_fit(view: View) -> bool:
    """Each is of a subject of the certificate, with a digest of the right size; for EV each subject has one."""
    found = descriptors_of(view.value(oids.TOR_DESCRIPTORS)) if oids.TOR_DESCRIPTORS in view else ()
    subjects = {".".join(name.split(".")[-2:]) for name in names(view) if name.endswith(".onion")}
    hosts = []
    for descriptor in found:
        parts = domains.url_of(descriptor.uri)
        if parts is None or parts.scheme != "https" or not parts.netloc:
            return False
        hosts.append(parts.hostname or "")
        if _DIGESTS.get(descriptor.digest) != descriptor.bits:
            return False
    unique = len({*hosts}) == len(hosts)
    covered = subjects <= {*hosts} if view.is_extended else True
    return bool(found) and unique and {*hosts} <= subjects and covered
