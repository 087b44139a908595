"""A schema takes what the parser takes and refuses what it refuses, as far as a schema can say it."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import jsonschema
import pytest
import yaml

from groundplane.cli.main import main
from groundplane.errors import GroundplaneError
from groundplane.pki.acme.config import parse_config as parse_acme
from groundplane.pki.certdb import read_database_config
from groundplane.pki.kubernetes.config import parse_cluster
from groundplane.pki.renewal.config import parse_config as parse_renewer
from groundplane.pki.schema import NAMES, schema
from groundplane.pki.service.config import parse_config as parse_service
from groundplane.pki.transport.identity import parse_identity
from groundplane.pki.wire import parse_policy, parse_request

PARSERS: dict[str, Callable[[bytes], object]] = {
    "request": lambda data: parse_request(data, source="x"),
    "policy": lambda data: parse_policy(data, source="x"),
    "database": lambda data: read_database_config(data, source="x"),
    "kubernetes": lambda data: parse_cluster(data, source="x"),
    "renewer": lambda data: parse_renewer(data, source="x", directory=Path("/nowhere")),
    "serve": lambda data: parse_service(data, source="x", directory=Path("/nowhere")),
    "acme": lambda data: parse_acme(data, source="x", folder=Path("/nowhere")),
    "identity": lambda data: parse_identity(data, source="x"),
}
FULL: dict[str, dict[str, object]] = {
    "request": {
        "CN": "x",
        "hosts": ["a.com"],
        "key": {"algo": "rsa", "size": 2048},
        "names": [{"C": "US", "O": "b", "E": "a@b.c", "OID": {"1.2.3": "v"}}],
        "ca": {"expiry": "1h30m", "pathlen": 1, "pathlenzero": False},
        "serialnumber": "7",
        "crl_url": "http://c",
        "delegation_enabled": True,
        "extensions": [{"Id": [1, 2, 3], "Critical": False, "Value": "BQA="}],
    },
    "policy": {
        "signing": {
            "default": {"expiry": "8760h"},
            "profiles": {
                "p": {
                    "usages": ["cert sign", "crl sign", "1.2.3.4"],
                    "expiry": "1h",
                    "backdate": "5m",
                    "not_after": "2030-01-31T00:00:00Z",
                    "issuer_urls": ["http://i"],
                    "ocsp_url": "http://o",
                    "ca_constraint": {"is_ca": True, "max_path_len": 1, "max_path_len_zero": False},
                    "ocsp_no_check": True,
                    "lint_error_level": 5,
                    "ignored_lints": ["e_ext_san_missing"],
                    "ignored_lint_sources": ["CABF_BR"],
                    "auth_key": "k",
                    "name_whitelist": "^a",
                    "copy_extensions": True,
                    "allowed_extensions": ["1.2.3"],
                    "Policies": [{"ID": "1.2.3", "Qualifiers": [{"Type": "id-qt-cps", "Value": "http://x"}]}],
                    "CSRWhitelist": {"PublicKey": True},
                    "ClientProvidesSerialNumbers": False,
                    "names": {"allow": {"dns": [".a.com"], "ip": ["10.0.0.0/8"]}},
                    "name_constraints": {"permitted": {"dns": ["a.com"]}},
                },
                "far": {"auth_remote": {"remote": "r", "auth_key": "k"}},
                "open": {"remote": "r"},
            },
        },
        "auth_keys": {"k": {"type": "standard", "key": "aa"}},
        "remotes": {"r": "ca.example:8888"},
    },
    "database": {"driver": "sqlite3", "data_source": "a.db"},
    "kubernetes": {
        "name": "kubernetes",
        "endpoint": "api.example:6443",
        "etcd": [{"name": "e", "addresses": ["10.0.0.1"], "names": ["e.example"]}],
        "controlPlane": [{"name": "c", "addresses": ["10.0.0.2"]}],
        "workers": [{"name": "w", "addresses": ["10.0.0.3"]}],
        "serviceSubnet": "10.96.0.0/12",
        "dnsDomain": "cluster.local",
        "certSANs": ["x.example"],
        "adminGroup": "g",
        "key": "ecdsa-256",
        "caLifetime": "87600h",
        "lifetime": "8760h",
        "caKeysOnHosts": True,
    },
    "renewer": {
        "certificates": [
            {
                "certificate": "a.pem",
                "key": "a-key.pem",
                "ca": {"certificate": "ca.pem", "key": "ca-key.pem"},
                "before": "720h",
                "jitter": "1h",
                "lifetime": "9h",
                "newKey": True,
                "hooks": [["true"]],
            },
            {"certificate": "b.pem", "remote": {"address": "https://x", "profile": "p", "authKey": "env:K"}},
        ],
        "metrics": "m.prom",
    },
    "serve": {
        "listen": "127.0.0.1:8888",
        "tls": {"certificate": "a", "key": "b", "clientCA": "c", "minimum": "1.3"},
        "ca": {"certificate": "a", "key": "b"},
        "policy": "p.json",
        "database": "d.json",
        "responder": {"certificate": "a", "key": "b"},
        "bundles": {"roots": "r", "fetchFrom": ["a.com"]},
        "endpoints": {"enable": ["newcert"], "disable": ["scan"]},
        "access": [{"endpoints": ["sign", "*"], "clients": ["a"], "anyone": False}],
        "replay": {"window": "5m", "state": "s"},
        "metrics": "127.0.0.1:9",
        "audit": "a",
        "workers": 2,
        "logLevel": "info",
    },
    "acme": {
        "listen": "127.0.0.1:14000",
        "url": "https://acme.example:14000",
        "names": ["acme.example"],
        "ca": {"certificate": "ca.pem", "key": "ca-key.pem", "password_file": "p"},
        "alternate_chains": ["other.pem"],
        "policy": "policy.json",
        "profile": "server",
        "profiles": {"short": "for a day"},
        "tls_profile": "server",
        "database": "db.json",
        "state": "state",
        "identifiers": {
            "dns": {"allow": ["*.a.com"], "deny": ["b.a.com"]},
            "ip": {"allow": ["10.0.0.0/8"]},
            "wildcards": True,
        },
        "challenges": ["http-01", "dns-01"],
        "validation": {
            "allow": ["127.0.0.0/8"],
            "deny": ["10.1.0.0/16"],
            "private_networks": True,
            "resolvers": ["10.0.0.53", "10.0.0.53:5353"],
            "http_port": 8080,
            "https_port": 8443,
            "tls_port": 8443,
            "timeout": "5s",
            "attempts": 2,
            "first_wait": "500ms",
            "at_once": 8,
        },
        "limits": {
            "window": "1h",
            "accounts_per_address": 1,
            "orders_per_account": 2,
            "pending_authorizations": 3,
            "failures_per_identifier": 4,
            "identifiers_per_order": 5,
            "requests": 6,
        },
        "lifetimes": {"order": "1h", "authorization": "2h", "valid_authorization": "3h"},
        "external_accounts": {"required": True, "keys": {"kid": "secret"}},
        "terms": "https://t",
        "website": "https://w",
        "caa_identities": ["ca.example"],
        "audit": "audit.jsonl",
        "metrics": "127.0.0.1:9109",
    },
    "identity": {
        "request": {"CN": "db1", "hosts": ["db1.example"], "key": {"algo": "ecdsa", "size": 256}},
        "profiles": {
            "paths": {"private_key": "k.pem", "certificate": "c.pem"},
            "cfssl": {
                "remote": "https://ca.example:8888",
                "label": "l",
                "profile": "p",
                "auth-type": "standard",
                "auth-key": "env:CA_KEY",
                "mutual-tls-cert": "c",
                "mutual-tls-key": "k",
                "tls-remote-ca": "ca.pem",
            },
        },
        "roots": [
            {"type": "cfssl", "metadata": {"host": "https://h", "label": "l", "profile": "p", "tls-remote-ca": "t"}},
            {"type": "system"},
        ],
        "client_roots": [{"type": "file", "metadata": {"source": "clients.pem"}}],
    },
}
# Objects whose names are the writer's own.
FREE = {"profiles", "auth_keys", "OID", "remotes", "keys"}
# What else there is decides whether they may be left out.
REFERRED = {"clients", "algo", "permitted", "dns", "auth_keys", "remotes", "k", "r"}


def only(**fields: object) -> dict[str, object]:
    """A policy's section with one profile that has these."""
    profile = {"expiry": "1h", "usages": ["server auth"], **fields}
    return {"signing": {"default": {"expiry": "1h"}, "profiles": {"p": profile}}}


def takes(name: str, document: object) -> bool:
    """Whether the parser does."""
    try:
        PARSERS[name](json.dumps(document).encode())
    except GroundplaneError:
        return False
    return True


def fits(name: str, document: object) -> bool:
    """Whether the schema does."""
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    return jsonschema.Draft202012Validator(schema(name), format_checker=checker).is_valid(document)


def places(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in a document."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from places(inner, (*path, number))


def at(document: object, path: tuple[str | int, ...]) -> object:
    for step in path:
        document = document[step]  # type: ignore[index] # a place of it
    return document


def changed(document: object, path: tuple[str | int, ...], value: object) -> object:
    made = copy.deepcopy(document)
    if not path:
        return value
    outer = at(made, path[:-1])
    outer[path[-1]] = value  # type: ignore[index] # a place of it
    return made


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_one_and_has_its_parser_s_mind_on_a_full_file(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(name))
    assert fits(name, FULL[name])
    assert takes(name, FULL[name])


@pytest.mark.parametrize("name", NAMES)
def test_unknown_fields_are_refused_by_both_everywhere(name: str) -> None:
    count = 0
    for path in places(FULL[name]):
        value = at(FULL[name], path)
        if not isinstance(value, dict) or (path and path[-1] in FREE):
            continue
        document = changed(FULL[name], path, {**value, "bogus": 1})
        assert (takes(name, document), fits(name, document)) == (False, False), path
        count += 1
    assert count


@pytest.mark.parametrize("name", NAMES)
def test_values_of_the_wrong_type_are_refused_by_both_everywhere(name: str) -> None:
    for path in places(FULL[name]):
        value = at(FULL[name], path)
        wrongs: tuple[object, ...] = (5, "bogus", [], {}, True)
        for wrong in wrongs:
            if type(wrong) is type(value) or (isinstance(value, dict | list) and not value):
                continue
            document = changed(FULL[name], path, wrong)
            assert (takes(name, document), fits(name, document)) == (False, False), (path, wrong)


@pytest.mark.parametrize("name", NAMES)
def test_where_a_field_may_be_left_out_both_agree(name: str) -> None:
    for path in places(FULL[name]):
        if not path or isinstance(path[-1], int):
            continue
        document = copy.deepcopy(FULL[name])
        del at(document, path[:-1])[path[-1]]  # type: ignore[attr-defined] # a mapping
        if fits(name, document) is not takes(name, document):
            assert path[-1] in REFERRED, path


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("policy", only(usages=["cert sign"], ca_constraint={"is_ca": True})),
        (
            "policy",
            only(usages=["cert sign"], ca_constraint={"is_ca": True, "max_path_len": 0, "max_path_len_zero": True}),
        ),
        ("policy", only(ca_constraint={"is_ca": False, "max_path_len": 0, "max_path_len_zero": False})),
        ("policy", only(remote="r", ca_constraint={"is_ca": True})),
        ("request", {"names": [{"C": "", "O": "x" * 64}]}),
    ],
)
def test_what_is_in_order_is_taken_by_both(name: str, change: dict[str, object]) -> None:
    document = {**FULL[name], **change}
    assert (takes(name, document), fits(name, document)) == (True, True)


@pytest.mark.parametrize("name", NAMES)
def test_null_is_a_field_left_out_or_refused_by_both(name: str) -> None:
    """Left out in CFSSL's files, as Go has it; nothing in groundplane's own."""
    for path in places(FULL[name]):
        document = changed(FULL[name], path, None)
        if fits(name, document) is not takes(name, document):
            assert path
            assert path[-1] in REFERRED, path
        if path and name in {"kubernetes", "renewer", "serve", "acme"}:
            assert not takes(name, document), path


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("request", {"key": {"algo": "rsa", "size": 1024}}),
        ("request", {"key": {"algo": "dsa"}}),
        ("request", {"key": {"size": 255}}),
        ("request", {"hosts": [""]}),
        ("request", {"ca": {"expiry": "1y"}}),
        ("request", {"CN": "x" * 65}),
        ("request", {"serialnumber": "7" * 65}),
        ("request", {"names": [{"C": "USA"}]}),
        ("request", {"names": [{"O": "x" * 65}]}),
        ("request", {"names": [{"OID": {"2.5.4.11": "x" * 65}}]}),
        ("policy", only(usages=["cert sign"])),
        ("policy", only(ca_constraint={"is_ca": True})),
        ("policy", only(usages=["cert sign"], ca_constraint={"is_ca": True, "max_path_len": 0})),
        ("policy", only(usages=["cert sign"], ca_constraint={"is_ca": True, "MaxPathLen": 0})),
        ("policy", only(names=None)),
        ("policy", only(names={"allow": None})),
        ("policy", only(names={"allow": {"dns": None}})),
        ("policy", only(name_constraints={"permitted": {"dns": ["a.com"]}, "excluded": None})),
        ("policy", {"auth_keys": {"k": {"type": "standard", "key": "abc"}}}),
        ("policy", {"auth_keys": {"k": {"type": "standard", "key": "vault:k"}}}),
        ("policy", {"auth_keys": {"k": {"type": "basic", "key": "aa"}}}),
        ("policy", {"remotes": {"r": ""}}),
        ("database", {"driver": "oracle"}),
        ("database", {"data_source": ""}),
        ("kubernetes", {"etcd": []}),
        ("kubernetes", {"key": "rsa-1024"}),
        ("kubernetes", {"endpoint": "api.example"}),
        ("renewer", {"certificates": []}),
        ("serve", {"workers": 1000}),
        ("serve", {"listen": "8888"}),
        ("serve", {"logLevel": "loud"}),
        ("acme", {"listen": "acme.example:14000"}),
        ("acme", {"url": "http://acme.example"}),
        ("acme", {"challenges": ["http-02"]}),
        ("acme", {"names": []}),
        ("acme", {"limits": {"identifiers_per_order": 1001}}),
        ("acme", {"policy": ""}),
        ("acme", {"alternate_chains": [""]}),
        ("identity", {"profiles": {"cfssl": {"remote": ""}}}),
        ("identity", {"profiles": {"cfssl": {"remote": "h", "auth-type": "other", "auth-key": "k"}}}),
        ("identity", {"roots": [{"type": "systm"}]}),
        ("identity", {"roots": [{"type": "file"}]}),
        ("identity", {"roots": [{"type": "system", "metadata": {"source": "x"}}]}),
    ],
)
def test_wrong_values_are_refused_by_both(name: str, change: dict[str, object]) -> None:
    document = {**FULL[name], **change}
    assert (takes(name, document), fits(name, document)) == (False, False)


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pki", "schema"]) == 0
    assert "policy" in capsys.readouterr().out
    for name in NAMES:
        assert main(["pki", "schema", name]) == 0
        assert json.loads(capsys.readouterr().out)["$id"] == f"urn:groundplane:pki:{name}"
    assert main(["pki", "schema", "bogus"]) == 4


def test_files_are_checked_for_what_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = []
    for name in NAMES:
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(json.dumps(FULL[name]))
    assert main(["pki", "check", *map(str, paths)]) == 0
    assert "policy.json: good (a signing policy)" in capsys.readouterr().out
    paths[1].write_text('{"signing": {"default": {"expiry": "1y"}}}')
    assert main(["pki", "check", *map(str, paths), "/no/such"]) == 3
    shown = capsys.readouterr()
    assert "write 8760h" in shown.err
    assert shown.out.count("good") == len(NAMES) - 1


def test_a_request_about_nobody_is_found_before_it_is_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "csr.json"
    for text, told in (
        ('{"key": {"algo": "ecdsa", "size": 256}}', "a certificate needs a name"),
        ('{"hosts": ["a.com"], "ca": {"expiry": "1h"}}', "a root needs a subject"),
        ('{"CN": "%s"}' % ("x" * 65), "65 characters are more than the 64"),
    ):
        path.write_text(text)
        assert main(["pki", "check", str(path)]) == 3
        assert told in capsys.readouterr().err
    path.write_text('{"hosts": ["a.com"]}')
    assert main(["pki", "check", str(path)]) == 0


def test_all_of_them_may_be_yaml_and_are_read_as_strictly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [tmp_path / f"{name}.yaml" for name in NAMES]
    for name, path in zip(NAMES, paths, strict=True):
        path.write_text(yaml.safe_dump(FULL[name], sort_keys=False))
    assert main(["pki", "check", *map(str, paths)]) == 0
    assert capsys.readouterr().out.count("good") == len(NAMES)
    for name, path in zip(NAMES, paths, strict=True):
        path.write_text(yaml.safe_dump({**FULL[name], "bogus": 1}))
        assert main(["pki", "check", "--kind", name, str(path)]) == 3
        assert "bogus" in capsys.readouterr().err
        first, value = next(iter(FULL[name].items()))
        path.write_text(yaml.safe_dump(FULL[name]) + yaml.safe_dump({first: value}))
        assert main(["pki", "check", "--kind", name, str(path)]) == 3
        assert first in capsys.readouterr().err
