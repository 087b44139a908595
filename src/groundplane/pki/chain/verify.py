"""Everything that a careful client asks of a certificate: a chain, its purpose, its host, and that nothing is revoked.

Several chains may lead to a root. One with a revoked intermediate does not spoil the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from itertools import pairwise

from groundplane.pki.chain.build import Chain, Pool, chains_of
from groundplane.pki.chain.bundle import in_order
from groundplane.pki.chain.hostname import check_host
from groundplane.pki.chain.issuers import find_issuers
from groundplane.pki.chain.link import Link
from groundplane.pki.chain.model import ChainRefused, Flavor, Purpose, Reason, Silent
from groundplane.pki.chain.rank import best
from groundplane.pki.chain.revocation import Finding, Revocations, Standing
from groundplane.pki.chain.trust import Trust


class Strictness(Enum):
    """What to do where it cannot be found out whether a certificate is revoked: do not ask, bear it, refuse."""

    OFF = "off"
    SOFT = "soft"
    HARD = "hard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a certificate shall be good for. An empty host is not asked for."""

    host: str = ""
    purpose: Purpose = Purpose.ANY
    strictness: Strictness = Strictness.SOFT


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A chain that will do, root last, and what was found of each certificate but the root (none if not asked)."""

    chain: Chain
    findings: tuple[Finding, ...]


def verify(
    given: Sequence[Link], trust: Trust, question: Question, *, at: datetime, revocations: Revocations
) -> Verdict:
    """The best chain for the first of `given`, the others being help. Raises ChainRefused."""
    certificates = in_order(tuple(given))
    leaf = certificates[0]
    known = Trust(
        roots=trust.roots,
        intermediates=Pool([*trust.intermediates, *certificates[1:]]),
        fetcher=trust.fetcher,
        platforms=trust.platforms,
    )
    left = _chains(certificates, known, question, at)
    if question.host:
        check_host(leaf, question.host)
    refused: ChainRefused | None = None
    while left:
        chain = best(left, Flavor.OPTIMAL)
        findings = _findings(chain, question, revocations)
        trouble = _trouble(chain, findings, question)
        if trouble is None:
            return Verdict(chain=chain, findings=findings)
        refused = refused or trouble
        left.remove(chain)
    assert refused is not None
    raise refused


def _chains(certificates: Chain, known: Trust, question: Question, at: datetime) -> list[Chain]:
    leaf = certificates[0]
    pools = {"roots": known.roots, "intermediates": known.intermediates}
    try:
        return chains_of(leaf, **pools, at=at, purpose=question.purpose)
    except ChainRefused as unknown:
        if unknown.reason is not Reason.UNKNOWN_AUTHORITY or known.fetcher is None:
            raise
        if not find_issuers(certificates, known, at=at, journal=Silent()):
            raise
    return chains_of(leaf, **pools, at=at, purpose=question.purpose)


def _findings(chain: Chain, question: Question, revocations: Revocations) -> tuple[Finding, ...]:
    if question.strictness is Strictness.OFF:
        return ()
    return tuple(revocations.check(it, issuer) for it, issuer in pairwise(chain))


def _trouble(chain: Chain, findings: Sequence[Finding], question: Question) -> ChainRefused | None:
    for it, found in zip(chain, findings, strict=False):
        if found.standing is Standing.REVOKED:
            where = f" {found.why}" if found.why else ""
            words = f"the certificate was revoked{where}, says {found.source}"
            return ChainRefused(Reason.REVOKED, words, to=it.title, hint="get another one")
        if found.standing is Standing.UNKNOWN and question.strictness is Strictness.HARD:
            words = f"whether it is revoked cannot be found out: {found.why}"
            return ChainRefused(Reason.UNCHECKED, words, to=it.title, hint="mend that, or bear it (soft)")
    return None
