"""A key with its certificates, or certificates alone: what all stores hold."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from groundplane.errors import Invalid
from groundplane.pki.keys import PrivateKey
from groundplane.pki.seen import is_key_of, is_signed_by

_LONGEST_ALIAS = 255
_BMP_MAX = 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """`chain`: the key's certificate first, then those above it; `trusted`: others, that stand for themselves."""

    key: PrivateKey | None = field(default=None, repr=False)
    chain: tuple[x509.Certificate, ...] = ()
    trusted: tuple[x509.Certificate, ...] = ()
    alias: str = ""

    @property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        """All of them."""
        return (*self.chain, *self.trusted)


def arranged(key: PrivateKey | None, certificates: Sequence[x509.Certificate], *, source: str) -> Contents:
    """The key's own certificate first, its issuers after it. Raises Invalid if the key has none among them."""
    rest = list(dict.fromkeys(certificates))
    if key is None:
        return Contents(trusted=tuple(rest))
    own = next((one for one in rest if is_key_of(key, one)), None)
    if own is None:
        raise Invalid("none of the certificates is about the key", to=source, hint="add the key's certificate")
    chain = [own]
    rest.remove(own)
    while (above := next((one for one in rest if is_signed_by(chain[-1], one)), None)) is not None:
        chain.append(above)
        rest.remove(above)
    return Contents(key=key, chain=tuple(chain), trusted=tuple(rest))


def check(contents: Contents, alias: str) -> None:
    """Whether a store can hold it under that name. Raises Invalid."""
    if contents.key is not None and not contents.chain:
        raise Invalid("a store wants the key's certificate too", to="key", hint="name the certificate's file as well")
    if not alias.isprintable() or not 0 < len(alias) <= _LONGEST_ALIAS or any(ord(char) > _BMP_MAX for char in alias):
        raise Invalid("no store can have such an alias", to=alias[:40], hint="use letters and digits")


def pem_of(certificates: Sequence[x509.Certificate]) -> bytes:
    """One after the other."""
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)
