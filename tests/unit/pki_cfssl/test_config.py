import json

import pytest

from groundplane.pki.cfssl.config import Config, load_config
from groundplane.pki.cfssl.errors import CfsslError

LEAF = {"expiry": "1h", "usages": ["server auth"]}


def load(document: object) -> Config:
    return load_config(json.dumps(document).encode(), source="config.json")


def refusal(document: object) -> str:
    with pytest.raises(CfsslError) as refused:
        load(document)
    return str(refused.value)


def test_an_unknown_profile_is_the_default() -> None:
    config = load({"signing": {"default": LEAF, "profiles": {"p": {**LEAF, "expiry": "2h"}}}})
    assert config.profile("none") == config.profile("") == config.policy.default
    assert config.profile("p") != config.policy.default


def test_unknown_fields_and_usages_are_ignored_as_long_as_one_is_known() -> None:
    config = load({"signing": {"default": {**LEAF, "usages": ["server auth", "odd"], "colour": "red"}}})
    assert config.profile("").usages == ("server auth",)


def test_in_a_policy_partly_for_remotes_an_unknown_profile_is_an_error() -> None:
    config = load({"signing": {"default": LEAF, "profiles": {"r": {"remote": "z"}}}, "remotes": {"z": "h:1"}})
    with pytest.raises(CfsslError, match="Unknown policy profile"):
        config.profile("none")
    with pytest.raises(CfsslError, match="not built"):
        config.profile("r")


def test_refusals_have_cfssl_s_code_but_for_the_one_that_has_none() -> None:
    assert refusal({}) == 'No "signing" field present'
    assert refusal({"signing": {"default": {}}}) == '{"code":5200,"message":"empty expiry string"}'
    words = '{"code":5200,"message":"time: unknown unit \\"y\\" in duration \\"1y\\""}'
    assert refusal({"signing": {"default": {"expiry": "1y"}}}) == words


@pytest.mark.parametrize("date", ["x", "2026-13", "2026-01-01T00:00:00", "2026-01-01T00:00:00Zz", 5])
def test_a_date_that_is_none_is_refused(date: object) -> None:
    assert "5200" in refusal({"signing": {"default": {**LEAF, "not_before": date}}})


def test_what_only_groundplane_refuses_has_a_code_too() -> None:
    assert refusal({"signing": {"default": {**LEAF, "expiry": "-1h"}}}).startswith('{"code":5200,')
