"""The same files through CFSSL and through groundplane: what their certificates say is the same, and OpenSSL agrees.

CFSSL here is Debian's 1.2.0, which knows no URI names; everything else of these certificates it shares with later ones.
"""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from groundplane.pki.authority import Authority, Issued
from groundplane.pki.files import PairPaths, observe_pair, write_pair
from groundplane.pki.lifecycle import Keep, Refuse, assess, assess_root
from groundplane.pki.policy import client_profile, client_request, plan_root, tls_profile
from groundplane.pki.seen import load_certificate
from groundplane.pki.wire import parse_policy, parse_request
from tests.unit.pki.samples import CA, CONFIG, ETCD, HOSTS

ODD = {
    "CN": "odd & long " + "x" * 50,
    "hosts": [
        "b.example",
        "bob@example.com",
        "10.0.0.1",
        "::ffff:10.0.0.2",
        "*.a.example",
        "Ann <ann@example.com>",
        "::1",
    ],
    "key": {"algo": "ecdsa", "size": 384},
    "names": [{"O": "b", "C": "US", "OU": "groß"}, {"O": "a", "L": "x*y", "OU": "plain"}],
    "serialnumber": "77",
}
ETCD_AND_NODE: Any = CONFIG["signing"]["profiles"]
PROFILES: dict[str, Any] = {
    **ETCD_AND_NODE,
    "server": {
        "expiry": "3h30m",
        "backdate": "2h",
        "usages": ["signing", "key agreement", "s/mime", "server auth", "ocsp signing"],
        "crl_url": "http://crl.example/ca.crl",
        "ocsp_url": "http://ocsp.example",
        "issuer_urls": ["http://ca.example/a.crt", "http://ca.example/b.crt"],
        "ocsp_no_check": True,
    },
    "middle": {
        "expiry": "43800h",
        "usages": ["cert sign", "crl sign"],
        "ca_constraint": {"is_ca": True, "max_path_len": 0, "max_path_len_zero": True},
    },
    "pinned": {
        "expiry": "1h",
        "usages": ["client auth"],
        "not_before": "2026-01-01T00:00:00Z",
        "not_after": "2050-06-01T12:30:00Z",
    },
}
FULL = {"signing": {"default": CONFIG["signing"]["default"], "profiles": PROFILES}}


class Cfssl:
    """The real program, working in one directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "config.json").write_text(json.dumps(FULL))

    def gencert(self, name: str, document: object, *arguments: str) -> tuple[bytes, bytes]:
        """The certificate and key that it makes of `document`; they are also left in NAME.pem and NAME-key.pem."""
        (self.folder / f"{name}.json").write_text(json.dumps(document))
        made = self._run("cfssl", "gencert", "-loglevel=4", "-config=config.json", *arguments, f"{name}.json")
        self._run("cfssljson", "-bare", name, stdin=made)
        return (self.folder / f"{name}.pem").read_bytes(), (self.folder / f"{name}-key.pem").read_bytes()

    def _run(self, *argv: str, stdin: bytes = b"") -> bytes:
        return subprocess.run(argv, cwd=self.folder, input=stdin, capture_output=True, check=True, timeout=60).stdout


@pytest.fixture(scope="module")
def cfssl(tmp_path_factory: pytest.TempPathFactory) -> Cfssl:
    program = Cfssl(tmp_path_factory.mktemp("cfssl"))
    program.gencert("ca", CA, "-initca")
    return program


@pytest.fixture(scope="module")
def ours(cfssl: Cfssl) -> Authority:
    """The very CA that CFSSL made, so that even issuer names and key identifiers can be compared."""
    certificate, key = ((cfssl.folder / name).read_bytes() for name in ("ca.pem", "ca-key.pem"))
    return Authority.load(certificate, key, source="ca.pem")


def says(certificate: x509.Certificate) -> dict[str, Any]:
    """Everything in it but what is random: serial number, key, and the identifier that follows from the key."""
    extensions = [
        (extension.oid.dotted_string, extension.critical, extension.value)
        for extension in certificate.extensions
        if not isinstance(extension.value, x509.SubjectKeyIdentifier)
    ]
    return {
        "version": certificate.version,
        "subject": certificate.subject.public_bytes(),
        "issuer": certificate.issuer.public_bytes(),
        "digest": certificate.signature_algorithm_oid,
        "order": [extension.oid.dotted_string for extension in certificate.extensions],
        "extensions": extensions,
        "lifetime": certificate.not_valid_after_utc - certificate.not_valid_before_utc,
        "seconds": certificate.not_valid_before_utc.second,
    }


def begins_together(one: x509.Certificate, other: x509.Certificate) -> bool:
    """A minute may have turned between the two."""
    return abs((one.not_valid_before_utc - other.not_valid_before_utc).total_seconds()) <= 60


def verify(folder: Path, certificate: str, *flags: str) -> str:
    argv = ("openssl", "verify", "-x509_strict", "-CAfile", "ca.pem", *flags, certificate)
    done = subprocess.run(argv, cwd=folder, capture_output=True, check=False, text=True, timeout=60)
    return (done.stdout + done.stderr).strip()


def parsed(pem: bytes) -> x509.Certificate:
    return load_certificate(pem, source="certificate")


def request_of(document: object) -> Any:
    return parse_request(json.dumps(document).encode(), source="csr.json")


def profile_of(name: str) -> Any:
    return parse_policy(json.dumps(FULL).encode(), source="config.json").profile(name)


def test_a_root_says_what_cfssl_s_says(cfssl: Cfssl) -> None:
    theirs = parsed((cfssl.folder / "ca.pem").read_bytes())
    _, root = Authority.create_root(request_of(CA), now=theirs.not_valid_before_utc)
    assert says(parsed(root.certificate_pem)) == says(theirs)


@pytest.mark.filterwarnings("ignore:Attribute's length")  # reading cryptography's words for the odd one
@pytest.mark.parametrize("profile", ["etcd", "node", "server", "middle", "pinned"])
@pytest.mark.parametrize("document", [ETCD, ODD], ids=["etcd", "odd"])
def test_a_leaf_says_what_cfssl_s_says(cfssl: Cfssl, ours: Authority, profile: str, document: dict[str, Any]) -> None:
    pem, _ = cfssl.gencert("leaf", document, "-ca=ca.pem", "-ca-key=ca-key.pem", f"-profile={profile}")
    issued = ours.issue(request_of(document), profile_of(profile), now=datetime.now(UTC))
    one, other = parsed(issued.certificate_pem), parsed(pem)
    assert says(one) == says(other)
    assert begins_together(one, other)


def test_what_cfssl_made_may_stay(cfssl: Cfssl, ours: Authority) -> None:
    cfssl.gencert("etcd", ETCD, "-ca=ca.pem", "-ca-key=ca-key.pem", "-profile=etcd")
    now = datetime.now(UTC)
    root = observe_pair(PairPaths.named(cfssl.folder, "ca"), issuer=None)
    assert assess_root(root, plan_root(request_of(CA), now=now), now=now) == Keep()
    changed = {**CA, "CN": "another"}
    assert isinstance(assess_root(root, plan_root(request_of(changed), now=now), now=now), Refuse)
    leaf = observe_pair(PairPaths.named(cfssl.folder, "etcd"), issuer=ours.certificate)
    assert assess(leaf, ours.plan(request_of(ETCD), profile_of("etcd"), now=now), now=now) == Keep()


def test_cfssl_signs_with_the_ca_that_groundplane_made(tmp_path: Path) -> None:
    authority, root = Authority.create_root(
        request_of({**CA, "key": {"algo": "ecdsa", "size": 256}}), now=datetime.now(UTC)
    )
    write_pair(PairPaths.named(tmp_path, "ca"), certificate_pem=root.certificate_pem, key_pem=root.key_pem)
    Cfssl(tmp_path).gencert("etcd", ETCD, "-ca=ca.pem", "-ca-key=ca-key.pem", "-profile=etcd")
    assert verify(tmp_path, "etcd.pem") == "etcd.pem: OK"
    assert observe_pair(PairPaths.named(tmp_path, "etcd"), issuer=authority.certificate).signed_by_issuer


def test_openssl_finds_nothing_to_complain_about(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    authority, root = Authority.create_root(request_of(CA), now=now)
    policy = parse_policy(json.dumps(FULL).encode(), source="config.json")
    made: dict[str, Issued] = {
        "ca": root,
        "etcd": authority.issue(request_of(ETCD), tls_profile(policy.profile("etcd")), now=now),
        "client": authority.issue(client_request("groundplane-agent-etcd1"), client_profile(policy), now=now),
        "odd": authority.issue(request_of(ODD), policy.profile("server"), now=now),
    }
    for name, issued in made.items():
        write_pair(PairPaths.named(tmp_path, name), certificate_pem=issued.certificate_pem, key_pem=issued.key_pem)
    assert verify(tmp_path, "ca.pem") == "ca.pem: OK"
    for host in HOSTS:
        assert verify(tmp_path, "etcd.pem", "-purpose", "sslserver", "-verify_ip", host) == "etcd.pem: OK"
    assert verify(tmp_path, "etcd.pem", "-purpose", "sslclient") == "etcd.pem: OK"
    assert verify(tmp_path, "client.pem", "-purpose", "sslclient") == "client.pem: OK"
    assert "unsuitable certificate purpose" in verify(tmp_path, "client.pem", "-purpose", "sslserver")
    assert verify(tmp_path, "odd.pem", "-verify_hostname", "b.example") == "odd.pem: OK"


@pytest.mark.parametrize("name", ["ca", "etcd"])
def test_keys_are_written_byte_for_byte_as_cfssl_writes_them(cfssl: Cfssl, name: str) -> None:
    from groundplane.pki.keys import dump_key, load_key

    cfssl.gencert("etcd", ETCD, "-ca=ca.pem", "-ca-key=ca-key.pem", "-profile=etcd")
    pem = (cfssl.folder / f"{name}-key.pem").read_bytes()
    assert dump_key(load_key(pem, source=name)) == pem
    certificate = (cfssl.folder / f"{name}.pem").read_bytes()
    assert parsed(certificate).public_bytes(Encoding.PEM) == certificate


def test_a_description_has_only_plain_values(ours: Authority) -> None:
    from groundplane.pki.description import describe

    row = asdict(describe(ours.seen, path="ca.pem", now=datetime.now(UTC)))
    assert (row["name"], row["key"], row["days_left"]) == ("kubernetes-ca", "rsa-4096", 36499)


@pytest.mark.parametrize("accepted", [False, True], ids=["as the policy says", "with the bit for TLS"])
def test_a_strict_tls_client_takes_what_may_sign(*, accepted: bool) -> None:
    now = datetime.now(UTC)
    quick: dict[str, Any] = {"key": {"algo": "ecdsa", "size": 256}}
    authority, root = Authority.create_root(request_of({**CA, **quick}), now=now)
    etcd = tls_profile(profile_of("etcd")) if accepted else profile_of("etcd")
    member = authority.issue(request_of(ETCD), etcd, now=now)
    client = authority.issue(
        client_request("agent"), client_profile(parse_policy(json.dumps(FULL).encode(), source="c")), now=now
    )
    server = grpc.server(ThreadPoolExecutor(1))
    pairs = [(member.key_pem, member.certificate_pem)]
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials(pairs, root.certificate_pem, True))
    server.start()
    credentials = grpc.ssl_channel_credentials(root.certificate_pem, client.key_pem, client.certificate_pem)
    try:
        with grpc.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
            ready = grpc.channel_ready_future(channel)
            try:
                ready.result(timeout=10 if accepted else 1)
                connected = True
            except grpc.FutureTimeoutError:
                connected = False
            ready.cancel()
        assert connected == accepted
    finally:
        server.stop(None).wait()
