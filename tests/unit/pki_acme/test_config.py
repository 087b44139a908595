"""The configuration is read strictly: what is wrong is named, with its place and a way out."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.errors import GroundplaneError, Invalid
from groundplane.pki.acme.config import parse_config
from groundplane.pki.acme.model import ChallengeType
from tests.support.acme import SERVER, config_of


def test_a_short_one_has_careful_defaults(tmp_path: Path) -> None:
    config = config_of(tmp_path, validation={})
    assert config.names == ("acme.example",)
    assert config.ca_key == str(tmp_path / "ca-key.pem")
    assert config.challenges == tuple(ChallengeType)
    assert not config.validation.addresses.private_networks
    assert (config.validation.http_port, config.validation.tls_port) == (80, 443)


def test_everything_can_be_said(tmp_path: Path) -> None:
    config = config_of(
        tmp_path,
        listen="[::1]:14000",
        names=["a.test", "b.test"],
        challenges=["dns-01"],
        validation={"resolvers": ["10.0.0.53", "[::1]:5353", "10.0.0.54:54", "2001:db8::53"], "timeout": "1m"},
        lifetimes={"order": "1h"},
        external_accounts={"required": True, "keys": {"a": "file"}},
    )
    assert str(config.listen) == "[::1]:14000"
    assert [str(one) for one in config.validation.resolvers] == [
        *("10.0.0.53:53", "[::1]:5353", "10.0.0.54:54", "[2001:db8::53]:53")
    ]
    assert config.validation.timeout == timedelta(minutes=1)
    assert config.external.keys == {"a": tmp_path / "file"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"listen": "localhost:1"}, "not an address with a port"),
        ({"listen": "127.0.0.1"}, "not an address with a port"),
        ({"listen": "127.0.0.1:70000"}, "no port between"),
        ({"url": "http://a.test"}, "not the URL"),
        ({"url": "https://a.test/?x"}, "not the URL"),
        ({"url": "https://[x"}, "not the URL"),
        ({"names": []}, "needs a name"),
        ({"ca": {"certificate": "x"}}, '"certificate" and "key"'),
        ({"challenges": ["http-02"]}, "did you mean 'http-01'"),
        ({"challenges": []}, "without a challenge"),
        ({"identifiers": {"dns": {"alow": []}}}, "did you mean 'allow'"),
        ({"identifiers": {"dns": {"allow": ["a b"]}}}, "identifiers.dns.allow"),
        ({"identifiers": {"ip": {"allow": ["10.0.0.1/8"]}}}, "not a network"),
        ({"validation": {"attempts": 0}}, "between 1 and 20"),
        ({"validation": {"timeout": "10"}}, "missing unit"),
        ({"validation": {"timeout": "-1s"}}, "more than nothing"),
        ({"limits": {"requests": "5"}}, "a whole number"),
        ({"state": None}, "null says nothing"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid) as refused:
        config_of(tmp_path, **changes)
    assert words in str(refused.value)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda i: st.lists(i, max_size=3))


@given(
    field=st.sampled_from(sorted({*SERVER, "names", "limits", "lifetimes", "external_accounts", "challenges"})),
    value=JSON,
)
def test_only_our_own_errors_escape(field: str, value: object) -> None:
    try:
        parse_config(json.dumps({**SERVER, field: value}).encode(), source="f", folder=Path("/nowhere"))
    except GroundplaneError as refused:
        assert str(refused)  # noqa: PT017 - it may also be taken
