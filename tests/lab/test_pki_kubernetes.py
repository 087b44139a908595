"""A cluster's certificates before those who will use them: OpenSSL for every purpose, etcd and etcdctl for etcd's."""

import json
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

from groundplane.cli.main import main

FILE = {
    "endpoint": "localhost:6443",
    "etcd": [{"name": "etcd1", "addresses": ["127.0.0.1"]}],
    "controlPlane": [{"name": "cp1", "addresses": ["127.0.0.1"]}],
    "workers": [{"name": "w1", "addresses": ["127.0.0.2"]}],
}
SERVER, CLIENT = "sslserver", "sslclient"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("kubernetes")
    (top / "cluster.json").write_text(json.dumps(FILE))
    assert main(["pki", "kubernetes", str(top / "cluster.json"), "--out", str(top / "out"), "-q"]) == 0
    return top / "out"


@pytest.mark.parametrize(
    ("path", "ca", "purposes", "host"),
    [
        ("cp1/etc/kubernetes/pki/apiserver", "kubernetes", [SERVER], "kubernetes.default.svc.cluster.local"),
        ("cp1/etc/kubernetes/pki/apiserver-kubelet-client", "kubernetes", [CLIENT], ""),
        ("cp1/etc/kubernetes/pki/apiserver-etcd-client", "etcd", [CLIENT], ""),
        ("cp1/etc/kubernetes/pki/front-proxy-client", "front-proxy", [CLIENT], ""),
        ("cp1/var/lib/kubelet/pki/kubelet", "kubernetes", [SERVER], "cp1"),
        ("w1/var/lib/kubelet/pki/kubelet", "kubernetes", [SERVER], "w1"),
        ("etcd1/etc/kubernetes/pki/etcd/server", "etcd", [SERVER, CLIENT], "localhost"),
        ("etcd1/etc/kubernetes/pki/etcd/peer", "etcd", [SERVER, CLIENT], "etcd1"),
        ("etcd1/etc/kubernetes/pki/etcd/healthcheck-client", "etcd", [CLIENT], ""),
    ],
)
def test_openssl_takes_each_for_what_it_is_for(out: Path, path: str, ca: str, purposes: list[str], host: str) -> None:
    named = ["-verify_hostname", host] if host else []
    for purpose in (SERVER, CLIENT):
        argv = ["openssl", "verify", "-x509_strict", "-purpose", purpose, *named, "-CAfile", f"{out}/ca/{ca}/ca.crt"]
        done = subprocess.run(
            [*argv, f"{out}/hosts/{path}.crt"], capture_output=True, text=True, timeout=30, check=False
        )
        assert (done.returncode == 0) is (purpose in purposes), done.stderr


def test_etcd_serves_with_them_and_its_clients_get_in(out: Path, tmp_path: Path) -> None:
    client, peer = (_free_port() for _ in range(2))
    pki = out / "hosts/etcd1/etc/kubernetes/pki/etcd"
    urls = f"https://127.0.0.1:{client}", f"https://127.0.0.1:{peer}"
    tls = [f"--cert-file={pki}/server.crt", f"--key-file={pki}/server.key", f"--trusted-ca-file={pki}/ca.crt"]
    tls += [
        f"--peer-cert-file={pki}/peer.crt",
        f"--peer-key-file={pki}/peer.key",
        f"--peer-trusted-ca-file={pki}/ca.crt",
    ]
    argv = [
        "/usr/bin/etcd",
        "--name=etcd1",
        f"--data-dir={tmp_path}/data",
        "--client-cert-auth",
        "--peer-client-cert-auth",
    ]
    argv += [f"--listen-client-urls={urls[0]}", f"--advertise-client-urls={urls[0]}", f"--listen-peer-urls={urls[1]}"]
    argv += [f"--initial-advertise-peer-urls={urls[1]}", f"--initial-cluster=etcd1={urls[1]}", *tls]
    api = out / "hosts/cp1/etc/kubernetes/pki"
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(argv, stdout=log, stderr=log) as etcd:
        try:
            for pair in (pki / "healthcheck-client", api / "apiserver-etcd-client"):
                flags = [f"--cert={pair}.crt", f"--key={pair}.key", f"--cacert={pki}/ca.crt", f"--endpoints={urls[0]}"]
                _until_healthy(flags)
            strangers = [f"--cacert={pki}/ca.crt", f"--endpoints={urls[0]}", "--command-timeout=2s"]
            wrong = api / "front-proxy-client"
            assert _etcdctl(*strangers, f"--cert={wrong}.crt", f"--key={wrong}.key", "get", "a").returncode != 0
        finally:
            etcd.terminate()
            etcd.wait(20)


def _until_healthy(flags: list[str]) -> None:
    end = time.monotonic() + 30
    while (done := _etcdctl(*flags, "endpoint", "health")).returncode != 0:
        assert time.monotonic() < end, done.stderr
        time.sleep(0.2)


def _etcdctl(*words: str) -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, "ETCDCTL_API": "3"}
    return subprocess.run(["etcdctl", *words], capture_output=True, text=True, timeout=30, check=False, env=env)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
