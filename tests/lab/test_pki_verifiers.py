"""What our CA issues is taken by those who will look at it: OpenSSL (strictly), Java, Go, and pkilint by the RFCs."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pkilint.bin import lint_pkix_signer_signee_cert_chain as pair
from pkilint.loader import RFC5280CertificateDocumentLoader
from pkilint.pkix import certificate, extension, name
from pkilint.validation import ValidationFindingSeverity

from groundplane.cli.main import main as groundplane
from tests.lab.cfssl_compare import call_ours

JAVA = Path(__file__).parent / "java" / "Chains.java"
URLS = {
    "ocsp_url": "http://ocsp.example/",
    "crl_url": "http://ca.example/ca.crl",
    "issuer_urls": ["http://ca.example/ca.crt"],
}
POLICY: dict[str, Any] = {
    "signing": {
        "default": {"expiry": "2160h", "usages": ["signing", "key encipherment", "server auth", "client auth"]},
        "profiles": {
            "ca": {
                "expiry": "43800h",
                "usages": ["cert sign", "crl sign"],
                "ca_constraint": {"is_ca": True, "max_path_len": 0, "max_path_len_zero": True},
            },
            "ca above": {
                "expiry": "43800h",
                "usages": ["cert sign", "crl sign", "signing"],
                "ca_constraint": {"is_ca": True, "max_path_len": 1},
                **URLS,
            },
            "server": {"expiry": "2160h", "usages": ["signing", "server auth"], **URLS},
            "client": {"expiry": "720h", "usages": ["signing", "client auth"]},
            "policies": {
                "expiry": "2160h",
                "usages": ["signing", "server auth"],
                "Policies": [
                    {"ID": "1.3.6.1.4.1.55555.1", "Qualifiers": [{"Type": "id-qt-cps", "Value": "http://x.example"}]}
                ],
            },
            "pinned": {
                "expiry": "1h",
                "usages": ["signing", "server auth"],
                "not_before": "2025-01-01T00:00:00Z",
                "not_after": "2051-01-01T00:00:00Z",
            },
        },
    }
}
ROOT = {"CN": "Verified Root", "names": [{"C": "US", "ST": "CA", "L": "San Francisco", "O": "Example", "OU": "PKI"}]}
P256, P384, P521 = ({"algo": "ecdsa", "size": size} for size in (256, 384, 521))
RSA, RSA3072, ED25519 = {"algo": "rsa", "size": 2048}, {"algo": "rsa", "size": 3072}, {"algo": "ed25519"}


@dataclass(frozen=True, kw_only=True)
class Issue:
    """A chain to make: the keys from the root down, the profiles of the intermediates, the leaf."""

    keys: tuple[Mapping[str, Any], ...] = (P256, P256)
    middles: tuple[str, ...] = ()
    profile: str = "server"
    leaf: Mapping[str, Any] = field(default_factory=lambda: {"CN": "www.example", "hosts": ["www.example"]})
    host: str = "www.example"
    go: int = 0  # the code of Debian's cfssl where it refuses: Ed25519 keys, and clients, whom 1.2.0 bundles not
    known: frozenset[str] = frozenset()  # what pkilint says of it all the same, and rightly


ISSUES = {
    "ecdsa": Issue(),
    "p384 over p256": Issue(keys=(P384, P256)),
    "p521": Issue(keys=(P521, P521)),
    "rsa": Issue(keys=(RSA, RSA), profile=""),
    "rsa 3072 over ecdsa": Issue(keys=(RSA3072, P256)),
    "ed25519 root": Issue(keys=(ED25519, P256)),
    "all ed25519": Issue(keys=(ED25519, ED25519), go=2003),
    "one intermediate": Issue(keys=(P256, P256, P256), middles=("ca",)),
    "two intermediates": Issue(keys=(P384, RSA, P256, P256), middles=("ca above", "ca")),
    "client": Issue(profile="client", leaf={"CN": "someone", "names": [{"O": "system:masters"}]}, host="", go=1214),
    "policies": Issue(  # the profile asks for the qualifier
        profile="policies", known=frozenset({"pkix.certificate_policies_policy_has_qualifier"})
    ),
    "pinned past 2050": Issue(profile="pinned"),
    "many names": Issue(
        leaf={
            "CN": "a.example",
            "hosts": ["a.example", "*.b.example", "10.0.0.1", "::1", "mail@c.example", "spiffe://d.example/x"],
            "names": [{"C": "DE", "ST": "Köln", "L": "Köln", "O": "Größe & Söhne", "OU": "plain"}],
        },
        host="x.b.example",
        # RFC 5280 itself has no wildcards, and pkilint reads only http's and ldap's URIs.
        known=frozenset({"pkix.invalid_domain_name_syntax", "pkix.invalid_uri_syntax"}),
    ),
    "no subject": Issue(leaf={"CN": "", "hosts": ["n.example", "10.1.1.1"]}, host="10.1.1.1"),
    "serial number and e-mail": Issue(
        leaf={
            "CN": "www.example",
            "hosts": ["www.example"],
            "serialnumber": "42",
            "names": [{"O": "x", "E": "mail@example.com"}],
        },
        known=frozenset({"itu.invalid_asn1_syntax"}),  # e-mail addresses of subjects have CFSSL's string type
    ),
    "values of one type": Issue(
        leaf={"CN": "www.example", "hosts": ["www.example"], "names": [{"O": "b", "OU": "u"}, {"O": "a", "OU": "v"}]},
        known=frozenset({"pkix.rdn_contains_duplicate_attribute_types"}),  # as CFSSL writes them, and must
    ),
}


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each: root.pem, chain.pem (leaf first), leaf.pem, middle.pem."""
    base = tmp_path_factory.mktemp("issued")
    for title, issue in ISSUES.items():
        folder = base / title.replace(" ", "-")
        folder.mkdir()
        _make(issue, folder)
    return base


def _make(issue: Issue, folder: Path) -> None:
    (folder / "policy.json").write_text(json.dumps(POLICY))
    root_key, *further = issue.keys
    _call(folder, "root", ("-initca",), {**ROOT, "key": root_key})
    above = "root"
    chain: list[str] = []
    for number, profile in enumerate(issue.middles):
        request = {"CN": f"Intermediate {number}", "names": [{"C": "US", "O": "Example"}], "key": further[number]}
        _call(folder, f"middle{number}", _signed_by(above, profile), request)
        above = f"middle{number}"
        chain.insert(0, above)
    _call(folder, "leaf", _signed_by(above, issue.profile), {**issue.leaf, "key": further[-1]})
    pems = [(folder / f"{name}.pem").read_text() for name in ("leaf", *chain)]
    (folder / "middle.pem").write_text("".join(pems[1:]))
    (folder / "chain.pem").write_text("".join(pems))
    if "client" in issue.profile:
        (folder / "client").touch()


def _signed_by(above: str, profile: str) -> tuple[str, ...]:
    return (f"-ca={above}.pem", f"-ca-key={above}-key.pem", "-config=policy.json", f"-profile={profile}")


def _call(folder: Path, name: str, flags: tuple[str, ...], request: Mapping[str, Any]) -> None:
    document = _ours(folder, ("cfssl", "gencert", *flags, "-"), json.dumps(request).encode())
    (folder / f"{name}.pem").write_text(document["cert"])
    (folder / f"{name}-key.pem").write_text(document["key"])


def _ours(folder: Path, argv: tuple[str, ...], stdin: bytes = b"") -> Any:
    for old in folder.parent.glob(f"{folder.name}.*"):
        old.unlink()  # what the last call said
    code, out, err = call_ours(argv, folder, stdin)
    assert code == 0, err
    return json.loads(out)


def _folders(base: Path) -> dict[str, Path]:
    return {name: base / name.replace(" ", "-") for name in ISSUES}


def test_openssl_takes_them_strictly(issued: Path) -> None:
    for title, folder in _folders(issued).items():
        issue = ISSUES[title]
        argv = ["openssl", "verify", "-x509_strict", "-show_chain", "-CAfile", "root.pem"]
        argv += ["-untrusted", "middle.pem"] if issue.middles else []
        argv += ["-purpose", "sslclient" if issue.profile == "client" else "sslserver"]
        if issue.host:
            argv += ["-verify_ip" if issue.host[0].isdigit() else "-verify_hostname", issue.host]
        done = subprocess.run([*argv, "leaf.pem"], cwd=folder, capture_output=True, check=False, timeout=30, text=True)
        assert done.returncode == 0, f"{title}: {done.stdout}{done.stderr}"


def test_java_takes_them(issued: Path) -> None:
    done = subprocess.run(
        ("java", "-XX:TieredStopAtLevel=1", str(JAVA), str(issued)),
        capture_output=True,
        check=False,
        timeout=100,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    told = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert told == {folder.name: "OK" for folder in _folders(issued).values()}


def test_keytool_imports_a_chain_under_its_root(issued: Path, tmp_path: Path) -> None:
    """A reply to a key's request is taken only if it leads to a root of the store."""
    folder = issued / "two-intermediates"
    store = ("-keystore", str(tmp_path / "store"), "-storepass", "changeit")

    def keytool(*argv: str) -> str:
        done = subprocess.run(
            ("keytool", *argv, *store), cwd=folder, capture_output=True, check=False, timeout=60, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    keytool("-genkeypair", "-alias", "k", "-keyalg", "EC", "-groupname", "secp256r1", "-dname", "CN=java.example")
    keytool("-certreq", "-alias", "k", "-file", str(tmp_path / "k.csr"))
    keytool("-importcert", "-noprompt", "-alias", "root", "-file", "root.pem")
    flags = _signed_by("middle1", "server")
    argv = ("cfssl", "sign", *flags, "-hostname=java.example", str(tmp_path / "k.csr"))
    reply = _ours(folder, argv)["cert"] + (folder / "middle.pem").read_text()
    (tmp_path / "reply.pem").write_text(reply)
    keytool("-importcert", "-alias", "k", "-file", str(tmp_path / "reply.pem"))
    assert "Certificate chain length: 4" in keytool("-list", "-v", "-alias", "k")


def test_go_takes_them(issued: Path) -> None:
    """Debian's cfssl, whose bundles are made by Go's own verifier."""
    for title, folder in _folders(issued).items():
        issue = ISSUES[title]
        argv = ["cfssl", "bundle", "-cert", "leaf.pem", "-key", "leaf-key.pem", "-ca-bundle", "root.pem"]
        argv += ["-int-bundle", "middle.pem"] if issue.middles else []
        done = subprocess.run(argv, cwd=folder, capture_output=True, check=False, timeout=30)
        if issue.go:
            assert f'"code":{issue.go}'.encode() in done.stderr
            continue
        assert done.returncode == 0, f"{title}: {done.stderr.decode()}"
        assert (json.loads(done.stdout)["bundle"] + "\n").startswith((folder / "chain.pem").read_text())


def test_we_take_them(issued: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for title, folder in _folders(issued).items():
        issue = ISSUES[title]
        argv = ["pki", "verify", str(folder / "chain.pem"), "--ca", str(folder / "root.pem"), "--no-fetch"]
        argv += ["--purpose", "client" if issue.profile == "client" else "server", "--host", issue.host, "-o", "json"]
        assert groundplane(argv) == 0, title
        assert len(json.loads(capsys.readouterr().out)["chain"]) == 2 + len(issue.middles)


@cache
def _rules() -> Any:
    """pkilint's for RFC 5280, as its command lint_pkix_cert puts them together."""
    return certificate.create_pkix_certificate_validator_container(
        certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
        [
            certificate.create_issuer_validator_container([]),
            certificate.create_validity_validator_container(),
            certificate.create_subject_validator_container([]),
            certificate.create_extensions_validator_container([]),
            certificate.create_spki_validator_container([]),
        ],
    )


def _codes(results: Any) -> set[str]:
    """What is more than a word for the reader."""
    found = (each for result in results for each in result.finding_descriptions)
    return {each.finding.code for each in found if each.finding.severity < ValidationFindingSeverity.INFO}


def _lint(file: Path) -> set[str]:
    document = RFC5280CertificateDocumentLoader().load_pem_document(file.read_text(), file.name)
    return _codes(_rules().validate(document.root))


def _lint_pair(signer: Path, signee: Path) -> set[str]:
    both: dict[str, Any] = {}
    loader = RFC5280CertificateDocumentLoader()
    for role, file in (("issuer", signer), ("subject", signee)):
        both[role] = loader.load_pem_document(file.read_text(), file.name, role, both)
    decoding = pair.create_decoder_validation_container()
    found = _codes([*decoding.validate(both["issuer"].root), *decoding.validate(both["subject"].root)])
    found |= _codes(pair.create_issuer_validation_container().validate(both["issuer"].root))
    return found | _codes(pair.create_subject_validation_container().validate(both["subject"].root))


@pytest.mark.parametrize("issue", ISSUES)
def test_pkilint_has_nothing_to_say(issued: Path, issue: str) -> None:
    folder = issued / issue.replace(" ", "-")
    names = ["root", *(f"middle{number}" for number in range(len(ISSUES[issue].middles))), "leaf"]
    files = [folder / f"{each}.pem" for each in names]
    found = set().union(*map(_lint, files))
    for signer, signee in pairwise(files):
        found |= _lint_pair(signer, signee)
    assert found == ISSUES[issue].known
