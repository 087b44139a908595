"""The same file as YAML and as JSON says the same; what only YAML can say is refused."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from groundplane.cli.main import main
from groundplane.errors import Invalid
from groundplane.pki.kubernetes.config import parse_cluster
from groundplane.pki.wire import parse_policy, parse_request
from groundplane.pki.wire.document import parse_document
from tests.unit.pki.samples import CONFIG, ETCD

texts = st.text("abc XYZ01.:-#'\"{}[],&*!|>%@`é漢\n", max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(texts, values, max_size=4))
def test_a_document_is_the_same_in_both(document: dict[str, object]) -> None:
    try:
        ours = parse_document(
            yaml.safe_dump(document, allow_unicode=True, sort_keys=False).encode(), source="x.yaml"
        ).value
    except Invalid as refused:
        assert "not YAML" in str(refused)  # noqa: PT017 - characters that YAML has no room for
        return
    assert ours == parse_document(json.dumps(document).encode(), source="x.json").value


def test_policies_and_requests_may_be_yaml() -> None:
    text = yaml.safe_dump(CONFIG).encode()
    assert parse_policy(text, source="p.yaml").profile("etcd").usages == (
        "server auth",
        "client auth",
        "key encipherment",
    )
    request = parse_request(yaml.safe_dump(ETCD).encode(), source="r.yml")
    assert request.hosts[0] == "127.0.0.1"
    dates = b"signing:\n  default: {expiry: 1h, usages: [any], not_after: 2030-01-31T00:00:00Z}\n"
    not_after = parse_policy(dates, source="p.yaml").default.not_after
    assert not_after is not None
    assert not_after.year == 2030
    cluster = b"etcd: [{name: a, addresses: [10.0.0.1]}]\ncontrolPlane:\n- name: b\n  addresses: [10.0.0.2]\n"
    assert parse_cluster(cluster, source="c.yaml").control_plane[0].name == "b"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        ("a: [", "not YAML"),
        ("a: &x 1\nb: *x", "anchors, aliases and tags"),
        ("a: !!python/object:os.system {}", "anchors, aliases and tags"),
        ("1: a", "a field's name is text"),
        ("a: 1\n---\nb: 2", "not YAML"),
        ("CN: a\nCN: b", "given twice"),
        ("hots: [a]", "did you mean 'hosts'"),
        ("\t", "not YAML"),
        ("[" * 100 + "]" * 100, "nested too deeply"),
    ],
)
def test_what_is_wrong_says_where(text: str, told: str) -> None:
    with pytest.raises(Invalid) as raised:
        parse_request(text.encode(), source="r.yaml")
    assert told in str(raised.value)
    assert "r.yaml" in str(raised.value)


@given(st.binary(max_size=80))
def test_no_bytes_break_it(data: bytes) -> None:
    try:
        parse_document(data, source="x.yaml")
    except Invalid:
        pass  # the usual answer


def test_a_command_takes_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ca.yaml").write_text("CN: root\nkey: {algo: ecdsa, size: 256}\n")
    assert main(["pki", "gencert", "--initca", "ca.yaml", "--out", "ca"]) == 0
