"""The complete list of a cluster's certificates, made once, kept while good, mended when not."""

import base64
import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from groundplane.cli.main import main
from groundplane.errors import Invalid, WrongState
from groundplane.pki.kubernetes.apply import Outcome, Workshop
from groundplane.pki.kubernetes.config import parse_cluster
from groundplane.pki.kubernetes.model import Cluster
from groundplane.pki.kubernetes.plan import api_names, inventory
from groundplane.pki.kubernetes.profiles import policy
from groundplane.pki.seen import is_signed_by
from groundplane.pki.wire import parse_policy

NOW = datetime.now(UTC)
FILE = {
    "endpoint": "api.example:6443",
    "etcd": [{"name": "etcd1", "addresses": ["10.0.0.11"]}],
    "controlPlane": [{"name": "cp1", "addresses": ["10.0.0.21", "fd00::21"], "names": ["cp1.example"]}],
    "workers": [{"name": "w1", "addresses": ["10.0.0.31"]}],
    "key": "ecdsa-256",
    "certSANs": ["extra.example"],
}


def cluster(**change: object) -> Cluster:
    return parse_cluster(json.dumps({**FILE, **change}).encode(), source="cluster.json")


def run(top: Path, it: Cluster, *, now: datetime = NOW, dry: bool = False) -> list[Outcome]:
    return list(Workshop(top=top, cluster=it, now=now, dry=dry).run())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("kubernetes") / "out"
    run(top, cluster())
    return top


def load(top: Path, path: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((top / path).read_bytes())


def test_an_api_server_has_kubeadm_s_names() -> None:
    it = cluster()
    assert api_names(it, it.control_plane[0]) == (
        *("cp1", "kubernetes", "kubernetes.default", "kubernetes.default.svc"),
        *("kubernetes.default.svc.cluster.local", "10.96.0.1", "10.0.0.21", "fd00::21", "api.example", "cp1.example"),
        "extra.example",
    )


def test_every_host_has_what_it_needs() -> None:
    places = {str(leaf.path) for leaf in inventory(cluster()).leaves}
    pki = "hosts/cp1/etc/kubernetes/pki/"
    assert {f"{pki}{name}" for name in ("apiserver", "apiserver-kubelet-client", "apiserver-etcd-client")} <= places
    assert {
        f"hosts/etcd1/etc/kubernetes/pki/etcd/{name}" for name in ("server", "peer", "healthcheck-client")
    } <= places
    confs = ("admin", "super-admin", "controller-manager", "scheduler", "kubelet")
    assert {f"hosts/cp1/etc/kubernetes/{name}.conf" for name in confs} <= places
    assert {"hosts/w1/etc/kubernetes/kubelet.conf", "hosts/w1/var/lib/kubelet/pki/kubelet"} <= places
    copies = {str(copy.target): copy.private for copy in inventory(cluster()).copies}
    assert copies[f"{pki}ca.key"] is copies[f"{pki}sa.key"] is True
    assert f"{pki}ca.key" not in {str(copy.target) for copy in inventory(cluster(caKeysOnHosts=False)).copies}


def test_certificates_say_what_kubeadm_s_say(made: Path) -> None:
    pki = "hosts/cp1/etc/kubernetes/pki"
    for name, ca, subject, usages in (
        ("apiserver", "kubernetes", "CN=kube-apiserver", ["serverAuth"]),
        ("apiserver-kubelet-client", "kubernetes", None, ["clientAuth"]),
        ("apiserver-etcd-client", "etcd", "CN=kube-apiserver-etcd-client", ["clientAuth"]),
        ("front-proxy-client", "front-proxy", "CN=front-proxy-client", ["clientAuth"]),
    ):
        it = load(made, f"{pki}/{name}.crt")
        assert is_signed_by(it, load(made, f"ca/{ca}/ca.crt"))
        assert subject in {None, it.subject.rfc4514_string()}
        extended = it.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert [usage._name for usage in extended] == usages
    etcd = load(made, "hosts/etcd1/etc/kubernetes/pki/etcd/server.crt")
    names = etcd.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["etcd1", "localhost"]
    assert len(list(etcd.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)) == 2


def test_kubeconfigs_are_whole(made: Path) -> None:
    document = yaml.safe_load((made / "hosts/cp1/etc/kubernetes/admin.conf").read_bytes())
    assert document["current-context"] == "kubernetes-admin@kubernetes"
    assert document["clusters"][0]["cluster"]["server"] == "https://api.example:6443"
    user = document["users"][0]["user"]
    it = x509.load_pem_x509_certificate(base64.b64decode(user["client-certificate-data"]))
    assert it.subject.rfc4514_string() == "CN=kubernetes-admin,O=kubeadm:cluster-admins"
    own = yaml.safe_load((made / "hosts/cp1/etc/kubernetes/scheduler.conf").read_bytes())
    assert own["clusters"][0]["cluster"]["server"] == "https://10.0.0.21:6443"


def test_keys_are_private(made: Path) -> None:
    secret = [path for path in made.rglob("*") if path.suffix in {".key", ".conf"}]
    assert len(secret) > 10
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    pair = made / "hosts/cp1/etc/kubernetes/pki"
    assert (pair / "sa.key").read_bytes() == (made / "ca/service-account/sa.key").read_bytes()


def test_run_again_it_changes_nothing(made: Path) -> None:
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    assert [outcome.made for outcome in run(made, cluster())] == [""] * len(run(made, cluster(), dry=True))
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == before


def reasons(outcomes: list[Outcome]) -> dict[str, str]:
    return {outcome.what: outcome.made for outcome in outcomes if outcome.made}


def test_what_is_missing_damaged_or_due_is_made_and_nothing_else(tmp_path: Path) -> None:
    run(tmp_path, cluster())
    pki = tmp_path / "hosts/cp1/etc/kubernetes/pki"
    (pki / "apiserver.key").unlink()
    (pki / "ca.crt").write_text("rubbish")
    (tmp_path / "hosts/w1/etc/kubernetes/kubelet.conf").write_text("kind: Config")
    (tmp_path / "ca/service-account/sa.pub").unlink()
    found = reasons(run(tmp_path, cluster(), dry=True))
    assert set(found) == {
        *("apiserver of cp1", "kubelet.conf of w1", "service account's key", "copy of ca/kubernetes/ca.crt"),
    }
    assert set(reasons(run(tmp_path, cluster()))) == set(found)
    assert reasons(run(tmp_path, cluster())) == {}
    later = NOW + timedelta(days=340)
    due = reasons(run(tmp_path, cluster(), now=later, dry=True))
    assert len(due) == len(inventory(cluster()).leaves)
    assert all(reason.startswith("it ends on") for reason in due.values())


def test_another_endpoint_or_name_makes_only_what_it_is_about(tmp_path: Path) -> None:
    run(tmp_path, cluster())
    found = reasons(run(tmp_path, cluster(endpoint="other.example:443", certSANs=[]), dry=True))
    assert found["admin.conf of cp1"] == "it is for https://api.example:6443, and https://other.example:443 is wanted"
    assert "lacks the names other.example" in found["apiserver of cp1"]
    assert "etcd/server of etcd1" not in found


def test_a_ca_is_never_replaced(tmp_path: Path) -> None:
    run(tmp_path, cluster())
    (tmp_path / "ca/etcd/ca.key").unlink()
    with pytest.raises(WrongState, match="key"):
        run(tmp_path, cluster())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"etcd": []}, "no host is named"),
        ({"etcd": [{"name": "A", "addresses": ["10.0.0.1"]}]}, "no host name"),
        ({"etcd": [{"name": "a", "addresses": ["x"]}]}, "no address"),
        ({"etcd": [{"name": "a"}]}, "addresses is missing"),
        ({"workers": [{"name": "cp1", "addresses": ["10.9.9.9"]}]}, "different addresses"),
        ({"workers": [{"name": "w", "addresses": ["10.0.0.1"]}] * 2}, "named twice"),
        ({"endpoint": "api.example"}, "with a port"),
        ({"key": "rsa-1024"}, "unknown kind of key"),
        ({"lifetime": "876000h"}, "longer than the CA's"),
        ({"serviceSubnet": "10.0.0.1/8"}, "no network"),
        ({"sans": []}, "unknown field"),
        ({"workers": [{"name": "w" * 53, "addresses": ["10.0.0.1"]}]}, "workers[0].name: 65 characters are more than"),
        ({"adminGroup": "g" * 65}, "adminGroup: 65 characters"),
        ({"workers": None}, "workers: null says nothing here"),
    ],
)
def test_a_bad_file_says_where(change: dict[str, object], told: str) -> None:
    with pytest.raises(Invalid) as raised:
        cluster(**change)
    assert told in str(raised.value)


def test_the_profiles_are_a_signing_policy() -> None:
    parsed = parse_policy(json.dumps(policy(timedelta(hours=8760))).encode(), source="policy")
    assert parsed.profile("peer").usages[-2:] == ("server auth", "client auth")


def test_the_audit_has_a_line_for_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cluster.json").write_text(json.dumps(FILE))
    monkeypatch.setenv("GROUNDPLANE_PKI_AUDIT", str(tmp_path / "audit"))
    assert main(["pki", "kubernetes", str(tmp_path / "cluster.json"), "--out", str(tmp_path / "out")]) == 0
    lines = [json.loads(line) for line in (tmp_path / "audit").read_text().splitlines()]
    assert len(lines) == 3 + len(inventory(cluster()).leaves)
    assert {line["event"] for line in lines} == {"issued"}
    assert len({line["serial"] for line in lines}) == len(lines)
    assert stat.S_IMODE((tmp_path / "audit").stat().st_mode) == 0o600


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cluster.json").write_text(json.dumps(FILE))
    words = ["pki", "kubernetes", str(tmp_path / "cluster.json"), "--out", str(tmp_path / "out")]
    assert main([*words, "--check"]) == 5
    assert not (tmp_path / "out").exists()
    assert main(words) == 0
    assert main([*words, "--check"]) == 0
    assert capsys.readouterr().out.endswith("0 would be made\n")
    assert main([*words[:2], "--print-policy"]) == 0
    assert main(words[:2]) == 3
