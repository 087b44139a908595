"""What to know about a bundle before using it: CFSSL's messages and status bits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from groundplane.pki.chain.build import Chain
from groundplane.pki.chain.platforms import Platform
from groundplane.pki.chain.score import ECDSA_KNOWN, SHA2_KNOWN, chain_hash_known, chain_key_known
from groundplane.pki.chain.signature import hash_family

EXPIRING, NOT_UBIQUITOUS = 1, 2
_SOON = timedelta(hours=720)
_SHA2 = (
    "The bundle contains certificates signed with advanced hash functions such as SHA2, which are problematic for "
    "certain operating systems, e.g. Windows XP SP2."
)
_ECDSA = (
    "The bundle contains ECDSA signatures, which are problematic for certain operating systems, e.g. Windows XP, "
    "Android 2.2 and Android 2.3."
)
_NO_METADATA = "Unable to measure bundle ubiquity: No platform metadata present."
_UNTRUSTED = "The bundle may not be trusted by the following platform(s):"
# When browsers gave SHA-1 up: a leaf that ends later is told of. Only the first for each browser that applies counts.
_SHA1_ENDED = (
    ("Google Chrome", datetime(2017, 1, 1, tzinfo=UTC), "shows the SSL connection is untrusted"),
    ("Google Chrome", datetime(2016, 1, 1, tzinfo=UTC), "shows the SSL connection has minor problems"),
    ("Mozilla Firefox", datetime(2017, 1, 1, tzinfo=UTC), "shows the SSL connection is untrusted"),
    ("Microsoft Windows Vista and later", datetime(2017, 1, 1, tzinfo=UTC), "shows the SSL connection is untrusted"),
)
_NO_NEW_SHA1 = datetime(2016, 1, 1, tzinfo=UTC)  # Firefox refuses leaves issued later


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """`untrusted` is None where no root was looked for."""

    rebundled: bool
    expiring: tuple[str, ...]
    untrusted: tuple[str, ...] | None
    messages: tuple[str, ...]
    code: int


def advise(chain: Chain, *, rebundled: bool, rooted: bool, platforms: Sequence[Platform], at: datetime) -> Advice:
    """About `chain`, whose last certificate is a root if it is `rooted`."""
    soon = [place for place, it in enumerate(chain) if it.not_after - at < _SOON]
    code, messages = 0, list[str]()
    if soon:
        code |= EXPIRING
        messages.append(_expiring(soon))
    about_crypto = [
        *([_SHA2] if chain_hash_known(chain) <= SHA2_KNOWN else []),
        *([_ECDSA] if chain_key_known(chain) <= ECDSA_KNOWN else []),
    ]
    untrusted = tuple(platform.name for platform in platforms if not platform.trusts(chain[-1])) if rooted else None
    about_trust = _trust(untrusted or (), platforms) if rooted else []
    about_sha1 = _sha1(chain)
    if further := [*about_crypto, *about_trust, *about_sha1]:
        code |= NOT_UBIQUITOUS
        messages += further
    return Advice(
        rebundled=rebundled,
        expiring=tuple(chain[place].subject_key_id.hex().upper() for place in soon),
        untrusted=untrusted,
        messages=tuple(messages),
        code=code,
    )


def _expiring(places: list[int]) -> str:
    them = "certs are" if len(places) > 1 else "cert is"
    numbers = "".join(f" #{place + 1}" for place in places)
    return f"The bundle is expiring within 30 days.The expiring {them}{numbers} in the chain."


def _trust(untrusted: Sequence[str], platforms: Sequence[Platform]) -> list[str]:
    if not platforms:
        return [_NO_METADATA]
    return [f"{_UNTRUSTED} {', '.join(untrusted)}."] if untrusted else []


def _sha1(chain: Chain) -> list[str]:
    leaf = chain[0]
    below_root = chain[:-1]
    old = any(hash_family(it) == "SHA1" for it in below_root)
    told: dict[str, str] = {}
    for platform, ended, effect in _SHA1_ENDED:
        if old and leaf.not_after > ended:
            told.setdefault(platform, effect)
    if len(chain) > 1 and hash_family(leaf) == "SHA1" and leaf.not_before > _NO_NEW_SHA1:
        told.setdefault("Mozilla Firefox", "shows the SSL connection is untrusted")
    return [f"{platform} {effect} due to SHA-1 deprecation" for platform, effect in told.items()]
