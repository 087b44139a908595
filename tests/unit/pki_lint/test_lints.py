"""Every rule finds the certificate that breaks it, and lets the one that keeps it pass."""

import pytest

from groundplane.pki.lint.model import Status
from groundplane.pki.lint.registry import lints
from groundplane.pki.lint.view import view
from tests.unit.pki_lint.cases import CASES, UNBREAKABLE

_BREACH = {"e": Status.ERROR, "w": Status.WARN, "n": Status.NOTICE}
_MILDER = {"w_ct_sct_policy_count_unsatisfied": Status.NOTICE}


@pytest.mark.parametrize(("name", "breaks", "keeps"), CASES, ids=[name for name, _, _ in CASES])
def test_a_rule_knows_who_breaks_it_and_who_keeps_it(name: str, breaks: bytes, keeps: bytes) -> None:
    rule = lints()[name]
    assert rule.judge(view(breaks)) == _MILDER.get(name, _BREACH[name[0]])
    assert rule.judge(view(keeps)) is Status.PASS


def test_every_rule_has_its_two_certificates() -> None:
    tried = [name for name, _, _ in CASES]
    assert len({*tried}) == len(tried)
    assert {*tried} | UNBREAKABLE == {*lints()}
