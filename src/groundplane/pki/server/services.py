"""What the endpoints work with. Each part may be missing; then the endpoints that need it are off."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Semaphore
from typing import TYPE_CHECKING, Protocol

from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.keys import PrivateKey, generate
from groundplane.pki.model import KeyAlgorithm, KeySpec

if TYPE_CHECKING:
    from groundplane.pki.cfssl.signers import Signers
    from groundplane.pki.cfssl.store import CertificateStore


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


NO_SIGNER = "signer not initialized"
_LARGE = 3072
_TURNS = {False: Semaphore(1), True: Semaphore(1)}


def make_key(spec: KeySpec) -> PrivateKey:
    """A new key, by this thread alone: all processors are busy with other calls anyway.

    RSA keys are made one after the other, since all at once each would be as late as the last; the large ones have
    their own row, so that nobody waits a minute behind them.
    """
    if spec.algorithm is not KeyAlgorithm.RSA:
        return generate(spec)
    with _TURNS[spec.size >= _LARGE]:
        return generate(spec)


def _open(_profile: str) -> tuple[bytes, ...]:
    return ()


class Bundles(Protocol):
    """Makes bundles; the values are CFSSL's bundle objects."""

    def of_certificate(self, certificate: bytes, key: bytes, *, flavor: str, name: str, address: str) -> object:
        """Of a certificate in PEM or DER; `name` and `address` are checked if given. Raises CfsslError."""

    def of_server(self, name: str, address: str, *, flavor: str) -> object:
        """Of what a server shows. Raises CfsslError."""


class Responses(Protocol):
    """Signs answers about certificates (OCSP)."""

    def sign(
        self, certificate: bytes, *, status: str, reason: int, revoked_at: datetime | None, issuer_hash: str
    ) -> bytes:
        """A response in DER. Raises CfsslError."""


class Lists(Protocol):
    """Makes lists of what is revoked (CRLs)."""

    def make(self, within: timedelta) -> bytes:
        """The list as of now, in DER, good for that long. Raises CfsslError."""


class Scans(Protocol):
    """Tries what servers do; the values are CFSSL's objects."""

    def run(self, host: str, address: str, *, family: str, scanner: str, within: timedelta) -> object:
        """The results by family and scanner. Raises CfsslError."""

    def about(self) -> object:
        """The families and scanners there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts; `no_…` says why one is missing.

    `open_profiles`, `locked_profiles`: whether any profile signs for all, or for those who have its key; `keys_of` are
    the keys of a profile's callers, none for one that is open. `quick`: signing takes no longer than a processor does.
    """

    journal: Journal
    signers: "Signers | None" = None
    keys_of: Callable[[str], tuple[bytes, ...]] = field(default=_open, repr=False)
    database: "CertificateStore | None" = None
    bundles: Bundles | None = None
    sign_bundles: Bundles | None = None
    responses: Responses | None = None
    no_responses: str = NO_SIGNER
    lists: Lists | None = None
    no_lists: str = ""
    scans: Scans | None = None
    no_scans: str = ""
    no_bundles: str = ""
    open_profiles: bool = True
    locked_profiles: bool = False
    quick: bool = False
    clock: Callable[[], datetime] = field(default=utc_now)
    make_key: Callable[[KeySpec], PrivateKey] = field(default=make_key)
