"""Finding the certificates between a leaf and a root by the addresses that certificates give of their issuers.

Depth first, as CFSSL: whenever the row that has been walked leads to a root, its certificates are kept. A certificate
that does not verify is never kept, so a stranger's server can add nothing that a root has not vouched for.
"""

import time
from collections.abc import Sequence
from datetime import datetime

from groundplane.errors import GroundplaneError
from groundplane.pki.chain.build import chains_of
from groundplane.pki.chain.link import Link
from groundplane.pki.chain.model import ChainRefused, Log
from groundplane.pki.chain.read import read_one
from groundplane.pki.chain.signature import is_self_signed
from groundplane.pki.chain.trust import Trust, keep

_DEEPEST = 16
# One walk: a certificate with a thousand addresses must not keep anybody busy for long.
_MOST_FETCHES = 64
_WITHIN = 30.0  # seconds


def find_issuers(certificates: Sequence[Link], trust: Trust, *, at: datetime, journal: Log) -> bool:
    """Learn intermediates, from `certificates` (leaf first) and from where they point. Whether any led to a root."""
    row = list(certificates)
    seen: set[object] = set(row)
    budget = _Budget()
    found = False
    while row:
        found |= _learn(row, certificates[0], trust, at, journal)
        further = None if len(row) >= _DEEPEST + len(certificates) else _fetch_next(row[-1], seen, trust, budget)
        if further is None:
            row.pop()
        else:
            row.append(further)
    return found


class _Budget:
    """What is left of fetches and of time."""

    def __init__(self) -> None:
        self.fetches = _MOST_FETCHES
        self.until = time.monotonic() + _WITHIN

    def spend(self) -> bool:
        """Whether one fetch more is allowed."""
        self.fetches -= 1
        return self.fetches >= 0 and time.monotonic() < self.until


def _fetch_next(it: Link, seen: set[object], trust: Trust, budget: _Budget) -> Link | None:
    if trust.fetcher is None:
        return None
    for url in it.issuer_urls:
        if url in seen:
            continue
        if not budget.spend():
            return None
        seen.add(url)
        try:
            issuer = read_one(trust.fetcher.get(url), source=url)
        except GroundplaneError:
            continue  # another address may answer; that none does, the verification says
        if issuer not in seen:
            seen.add(issuer)
            return issuer
    return None


def _learn(row: Sequence[Link], leaf: Link, trust: Trust, at: datetime, journal: Log) -> bool:
    """Keep the certificates of `row`, from its root's end on, as far as they verify; whether all do."""
    for place, it in reversed(list(enumerate(row))):
        if it in trust.roots or it in trust.intermediates:
            continue
        try:
            chains_of(it, roots=trust.roots, intermediates=trust.intermediates, at=at)
        except ChainRefused:
            return False
        if it == leaf or (place == len(row) - 1 and is_self_signed(it)):
            continue
        trust.intermediates.add(it)
        if trust.stash is not None:
            try:
                journal.info(f"stashed new intermediate {keep(it, trust.stash)}")
            except OSError as bad:
                journal.error(f"failed to write new intermediate: {bad.strerror or bad}")
    return True
