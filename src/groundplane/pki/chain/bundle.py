"""From certificates as they were given to the chain that a server should send."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm

from groundplane.pki import keys
from groundplane.pki.chain.advice import Advice, advise
from groundplane.pki.chain.build import Chain, chains_of
from groundplane.pki.chain.issuers import find_issuers
from groundplane.pki.chain.link import Link
from groundplane.pki.chain.model import ChainRefused, Flavor, Log, Reason, Silent
from groundplane.pki.chain.rank import best
from groundplane.pki.chain.signature import is_row, is_self_signed
from groundplane.pki.chain.trust import Trust
from groundplane.pki.keys import PrivateKey

_PAIR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """`chain` is what to send, leaf first, the root left out (see `assemble`); `root` is None for a forced one."""

    chain: Chain
    root: Link | None
    key: PrivateKey | None
    advice: Advice

    @property
    def leaf(self) -> Link:
        """Whom it is about."""
        return self.chain[0]

    @property
    def expires(self) -> datetime:
        """When the first of its certificates ends."""
        return min(it.not_after for it in self.chain)

    @property
    def pem(self) -> str:
        """The full chain as servers take it: leaf first."""
        return "".join(it.pem for it in self.chain)


def assemble(
    given: Sequence[Link],
    trust: Trust,
    *,
    flavor: Flavor,
    at: datetime,
    key: PrivateKey | None = None,
    journal: Log | None = None,
) -> Bundle:
    """The best chain for the first of `given` (or its last, if they stand the other way round).

    Forced: the certificates as given, if each one signed the one before. Otherwise a chain to a root, which is left
    out unless the leaf has OCSP and the chain is no longer than two: then the issuer is needed to ask. Raises
    ChainRefused.
    """
    certificates = in_order(tuple(given))
    leaf = certificates[0]
    check_key(leaf, key)
    if flavor is Flavor.FORCE:
        if not is_row(certificates):
            words = "Unable to verify the certificate chain"
            raise ChainRefused(Reason.OTHER, words, to=leaf.title, hint="give each one's issuer after it")
        advice = advise(certificates, rebundled=False, rooted=False, platforms=(), at=at)
        return Bundle(chain=certificates, root=None, key=key, advice=advice)
    whole = best(_chains(certificates, trust, at, journal or Silent()), flavor, trust.platforms)
    keep_root = leaf.ocsp_urls and not leaf.is_ca and len(whole) <= _PAIR
    sent = whole if keep_root else whole[:-1]
    advice = advise(whole, rebundled=sent != certificates, rooted=True, platforms=trust.platforms, at=at)
    return Bundle(chain=sent or whole, root=whole[-1], key=key, advice=advice)


def _chains(certificates: Chain, trust: Trust, at: datetime, journal: Log) -> list[Chain]:
    leaf = certificates[0]
    if is_self_signed(leaf):
        raise ChainRefused(Reason.SELF_SIGNED, "Certificate is self signed", to=leaf.title)
    try:
        return chains_of(leaf, roots=trust.roots, intermediates=trust.intermediates, at=at)
    except ChainRefused as unknown:
        if unknown.reason is not Reason.UNKNOWN_AUTHORITY or not find_issuers(
            certificates, trust, at=at, journal=journal
        ):
            raise
    return chains_of(leaf, roots=trust.roots, intermediates=trust.intermediates, at=at)


def in_order(certificates: Chain) -> Chain:
    """Leaf first: turned round if only that makes each one's signature the next one's."""
    if len(certificates) > 1 and not is_row(certificates) and is_row(certificates[::-1]):
        return certificates[::-1]
    return certificates


def check_key(leaf: Link, key: PrivateKey | None) -> None:
    """Raises ChainRefused for a kind of key that is not taken, and unless `key`, if given, is the leaf's."""
    try:
        public = leaf.certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        public = None
    if not isinstance(public, keys.PublicKey):
        words = "Private key algorithm is not RSA or ECC or Ed25519"
        raise ChainRefused(Reason.KEY_KIND, words, to=leaf.title)
    if key is not None and keys.public_bytes(key.public_key()) != keys.public_bytes(public):
        raise ChainRefused(Reason.KEY_MISMATCH, "Private key does not match public key", to=leaf.title)
