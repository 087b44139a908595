"""Where a responder's answers come from: a file of them, a database's table of them, or the ledger of certificates.

The first two are CFSSL's: answers signed earlier, found by the first certificate that is asked about. `Live` signs: it
looks every certificate up in the ledger for every question, so that a revocation takes effect at the next one, and
keeps its signatures for as long as nothing changes, so that a question costs one look.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from threading import Lock
from typing import Protocol

from groundplane.pki.ocsp.answers import Answer, answer_of, read_answer
from groundplane.pki.ocsp.model import UNKNOWN, CertificateID, CertificateStatus, Digest, Request, Single, Standing
from groundplane.pki.ocsp.responder import Responder

_MOST_KEPT = 16384  # signatures; some 2 KB each
_FRESH_SECONDS = 60  # for caches on the way: their holders learn of a revocation within this time


class Source(Protocol):
    """Finds the answer to a request. `blocking`: it waits for something outside, so ask it in a thread."""

    blocking: bool

    def answer(self, request: Request, now: datetime) -> Answer | None:
        """The answer, or None: nothing is said about that certificate. Any exception: the source failed."""


class FileSource:
    """Answers by serial number alone, as in CFSSL: the file is of one issuer."""

    blocking = False

    def __init__(self, answers: Iterable[tuple[int, Answer]]) -> None:
        self._answers = dict(answers)

    def __len__(self) -> int:
        return len(self._answers)

    def answer(self, request: Request, now: datetime) -> Answer | None:  # noqa: ARG002 - Source's
        """The answer about the first certificate."""
        return self._answers.get(request.first.serial)


class TableSource:
    """Answers from a database's table, found by serial number and issuer's key.

    `find` takes the number and an authority key identifier in lower hex, which the issuer's key hash is in requests
    that use SHA-1. Other requests find nothing: answers that were signed earlier name issuers by SHA-1, too.
    """

    blocking = True

    def __init__(self, find: Callable[[int, str], bytes | None]) -> None:
        self._find = find

    def answer(self, request: Request, now: datetime) -> Answer | None:  # noqa: ARG002 - Source's
        """The answer about the first certificate. Raises Invalid for a damaged row."""
        asked = request.first
        body = self._find(asked.serial, asked.key_hash.hex()) if asked.digest is Digest.SHA1 else None
        return None if body is None else _read(body)


@lru_cache(maxsize=8192)
def _read(body: bytes) -> Answer:
    """Read once while it stays the same: its signature is checked."""
    return read_answer(body)[1]


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer, the standings that it tells, and until when it is given again."""

    answer: Answer
    standings: tuple[Standing, ...]
    until: datetime


def _worst(standings: tuple[Standing, ...]) -> str:
    found = {standing.status for standing in standings}
    order = (CertificateStatus.REVOKED, CertificateStatus.UNKNOWN, CertificateStatus.GOOD)
    return next(status.value for status in order if status in found)


Lookup = Callable[[Responder, int], Standing | None]


@dataclass(slots=True, kw_only=True)
class Live:
    """Signs for `responders`, each of which speaks for one issuer.

    `look` tells how one of an issuer's certificates stands; None: it was never issued, and the answer says `unknown`.
    A request for certificates of several issuers, or of one for which nobody speaks, is not answered.
    An answer is good for `interval`, and renewed at half of it. `signed` is told of each: when, and until when.
    """

    responders: tuple[Responder, ...]
    look: Lookup
    interval: timedelta
    signed: Callable[[datetime, datetime], None] = lambda _now, _next_update: None
    blocking: bool = True
    _kept: OrderedDict[tuple[CertificateID, ...], _Kept] = field(default_factory=OrderedDict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def answer(self, request: Request, now: datetime) -> Answer | None:
        """The answer, signed now or a short while ago."""
        responder = next((it for it in self.responders if all(map(it.speaks_for, request.asked))), None)
        if responder is None:
            return None
        standings = tuple(self.look(responder, one.serial) or UNKNOWN for one in request.asked)
        if request.nonce is None:
            with self._lock:
                kept = self._kept.get(request.asked)
            if kept is not None and kept.standings == standings and now < kept.until:
                return kept.answer
        start = now.replace(second=0, microsecond=0)  # a client's clock may be a little slow
        end = start + self.interval
        singles = [
            Single(id=one, standing=standing, this_update=start, next_update=end)
            for one, standing in zip(request.asked, standings, strict=True)
        ]
        body = responder.sign(singles, produced_at=start, nonce=request.nonce)
        self.signed(now, end)
        known = all(standing.status is not CertificateStatus.UNKNOWN for standing in standings)
        fresh = _FRESH_SECONDS if known and request.nonce is None else 0
        answer = answer_of(body, start, end, fresh_seconds=fresh, outcome=_worst(standings))
        if fresh:  # what is unknown is not kept: there is no end of numbers that were never issued
            with self._lock:
                self._kept[request.asked] = _Kept(answer, standings, now + self.interval / 2)
                self._kept.move_to_end(request.asked)
                if len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
        return answer
