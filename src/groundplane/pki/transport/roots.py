"""The roots of a transport, from the system, from files and from CFSSL servers; what is asked for, must be there."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from groundplane.errors import Invalid, NotFound
from groundplane.pki.chain.read import read_every_pem
from groundplane.pki.transport.authority import open_authority
from groundplane.pki.transport.model import RootSource, RootType


@dataclass(frozen=True, slots=True, kw_only=True)
class Roots:
    """`system`: and those that the machine trusts."""

    pem: str = ""
    system: bool = False

    def trust_in(self, context: ssl.SSLContext) -> None:
        """Let a context believe them, each of them as it stands."""
        if self.system:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        if self.pem:
            context.load_verify_locations(cadata=self.pem)
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


def load_roots(sources: Sequence[RootSource]) -> Roots:
    """All of them; none given are the system's. Raises NotFound, Invalid, Failed."""
    if not sources:
        return Roots(system=True)
    found: list[bytes] = []
    for source in sources:
        match source.type:
            case RootType.FILE:
                found += _of_file(source.source)
            case RootType.CFSSL:
                found.append(open_authority(source.access).certificate().public_bytes(Encoding.PEM))
            case RootType.SYSTEM:
                continue
    system = any(source.type is RootType.SYSTEM for source in sources)
    return Roots(pem=b"".join(found).decode(), system=system)


def _of_file(name: str) -> list[bytes]:
    try:
        data = Path(name).read_bytes()
    except OSError as bad:
        raise NotFound(f"cannot be read: {bad.strerror or bad}", to=name, hint="mend the identity's roots") from bad
    if not (read := read_every_pem(data)):
        raise Invalid("there is no certificate in it", to=name, hint="give a PEM file")
    return [each.certificate.public_bytes(Encoding.PEM) for each in read]
