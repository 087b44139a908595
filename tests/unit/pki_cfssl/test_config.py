import json

import pytest

from groundplane.errors import Invalid
from groundplane.pki.cfssl.config import Config, RemoteProfile, load_config, load_strictly
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


def test_profiles_for_remotes_say_where_and_with_which_key() -> None:
    profiles = {
        "far": {"remote": "z", "auth_key": "k"},
        "locked": {"auth_remote": {"remote": "z", "auth_key": "k"}, "usages": ["any"]},
    }
    keys = {"k": {"type": "standard", "key": "00ff"}}
    config = load({"signing": {"default": LEAF, "profiles": profiles}, "remotes": {"z": "h:1"}, "auth_keys": keys})
    assert config.remote("far") == RemoteProfile(address="h:1")
    assert config.remote("locked") == RemoteProfile(address="h:1", key="00ff")
    assert config.remote("none") is None
    assert config.needs_local
    assert config.needs_remote
    assert [line.split(":")[0] for line in config.skipped()] == ["Profiles[locked] points to a remote signer"]
    assert "00ff" not in repr(config)
    with pytest.raises(CfsslError, match="for a remote"):
        config.profile("far")


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ({"remote": "z", "auth_remote": {"remote": "z", "auth_key": "k"}}, "Invalid or unknown policy"),
        ({"auth_remote": {"remote": "z"}}, "invalid configuration"),
        ({"auth_remote": {"auth_key": "k"}, **LEAF}, "invalid configuration"),
        (
            {"auth_remote": {"remote": "z", "auth_key": "no"}},
            "failed to find auth_remote's auth_key in auth_keys section",
        ),
        ({"remote": "no"}, "failed to find remote in remotes section"),
    ],
)
def test_a_remote_and_its_key_belong_together(profile: object, words: str) -> None:
    keys = {"k": {"type": "standard", "key": "00ff"}}
    document = {"signing": {"default": profile}, "remotes": {"z": "h:1"}, "auth_keys": keys}
    assert refusal(document) == f'{{"code":5200,"message":"{words}"}}'


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


def test_natively_nothing_is_passed_over() -> None:
    odd = {"signing": {"default": LEAF, "bogus": 1}}
    assert load(odd).policy.default.usages
    with pytest.raises(Invalid, match="bogus: unknown field"):
        load_strictly(json.dumps(odd).encode(), source="p.json")
    named = {**LEAF, "usages": ["1.3.6.1.5.2.3.5"]}
    known = load_strictly(json.dumps({"signing": {"profiles": {"kdc": named}}}).encode(), source="p.json")
    assert known.profile("kdc").usages == ("1.3.6.1.5.2.3.5",)
    remote = (
        b"signing: {default: {auth_remote: {remote: z, auth_key: k}}}\n"
        b"remotes: {z: 'h:1'}\nauth_keys: {k: {type: standard, key: aa}}\n"
    )
    far = load_strictly(remote, source="p.yaml").remote("")
    assert far is not None
    assert (far.address, far.key) == ("h:1", "aa")
