"""The best of several chains. Each question keeps those that answer it best, until one is left: CFSSL's questions."""

from collections.abc import Callable, Sequence
from functools import cmp_to_key
from typing import Any

from groundplane.pki.chain.build import Chain
from groundplane.pki.chain.model import Flavor
from groundplane.pki.chain.platforms import Platform, weight_of
from groundplane.pki.chain.score import (
    SHA2_KNOWN,
    chain_hash_known,
    chain_key_known,
    hash_known,
    lives_lawfully_long,
    strength,
)

Question = Callable[[Chain], Any]


def best(chains: Sequence[Chain], flavor: Flavor, platforms: Sequence[Platform] = ()) -> Chain:
    """The one to use, of at least one; of equals the first."""
    questions: list[Question] = [lambda chain: -len(chain), ends, strength]
    if flavor is not Flavor.OPTIMAL:
        questions = [
            lambda chain: weight_of(chain, platforms),
            lambda chain: all(hash_known(it) == SHA2_KNOWN for it in chain[:-1]),
            lambda chain: -len(chain),
            chain_hash_known,
            chain_key_known,
            cmp_to_key(_by_the_end_of_each),
            *questions,
        ]
    left = list(chains)
    for question in questions:
        if len(left) == 1:
            break
        answers = [question(chain) for chain in left]
        highest = max(answers)
        left = [chain for chain, answer in zip(left, answers, strict=True) if not answer < highest]
    return left[0]


def ends(chain: Chain) -> Any:
    """When the first of its certificates ends."""
    return min(it.not_after for it in chain)


def _by_the_end_of_each(one: Chain, other: Chain) -> int:
    """From the root down, the first pair decides: a lawful lifetime before another, then the later end."""
    for mine, theirs in zip(reversed(one), reversed(other), strict=False):
        ranks = [(lives_lawfully_long(it), it.not_after) for it in (mine, theirs)]
        if ranks[0] != ranks[1]:
            return 1 if ranks[0] > ranks[1] else -1
    return 0
