"""How widely understood, and how strong, the cryptography of a chain is: CFSSL's numbers (reference, section 20)."""

from datetime import UTC, datetime

from groundplane.pki.chain.build import Chain
from groundplane.pki.chain.link import Link, key_words
from groundplane.pki.chain.signature import hash_family

SHA2_KNOWN, SHA1_KNOWN = 70, 100
RSA_KNOWN = DSA_KNOWN = 100
ECDSA_KNOWN = 70
_LEAST_RSA = 1024
_CURVES_KNOWN = {256: ECDSA_KNOWN, 384: ECDSA_KNOWN, 521: 30}
_CURVES_WORTH = {256: 100, 384: 120, 521: 140}
_RSA_WORTH = {4096: 70, 3072: 50, 2048: 30}
# Since when the public CAs may not issue for longer than so many months.
_LIMITS = ((datetime(2015, 4, 1, tzinfo=UTC), 39), (datetime(2012, 7, 1, tzinfo=UTC), 60))
_OLDEST_LIMIT = 120


def hash_known(it: Link) -> int:
    """How many understand the hash of its signature."""
    return {"SHA1": SHA1_KNOWN, "SHA2": SHA2_KNOWN}.get(hash_family(it), 0)


def key_known(it: Link) -> int:
    """How many understand its key."""
    key = key_words(it)
    match key.kind:
        case "RSA":
            return RSA_KNOWN if key.bits >= _LEAST_RSA else 0
        case "DSA":
            return DSA_KNOWN
        case "ECDSA":
            return _CURVES_KNOWN.get(key.bits, 0)
        case _:
            return 0


def chain_hash_known(chain: Chain) -> int:
    """That of the one that the fewest understand."""
    return min(map(hash_known, chain))


def chain_key_known(chain: Chain) -> int:
    """That of the one that the fewest understand."""
    return min(map(key_known, chain))


def strength(chain: Chain) -> int:
    """The mean of the hashes and the mean of the keys, each cut to a whole number, added up."""
    hashes = [{"SHA2": 100, "SHA1": 10}.get(hash_family(it), 0) for it in chain]
    return sum(hashes) // len(chain) + sum(map(_key_worth, chain)) // len(chain)


def _key_worth(it: Link) -> int:
    key = key_words(it)
    match key.kind:
        case "ECDSA":
            return _CURVES_WORTH.get(key.bits, 100)
        case "RSA":
            return _RSA_WORTH.get(key.bits, 0)
        case _:
            return 0


def lives_lawfully_long(it: Link) -> bool:
    """Whether its lifetime was what public CAs may give at the time it was issued."""
    start, end = it.not_before, it.not_after
    months = (end.year - start.year) * 12 + end.month - start.month + (end.day > start.day)
    most = next((most for since, most in _LIMITS if start >= since), _OLDEST_LIMIT)
    return months <= most
