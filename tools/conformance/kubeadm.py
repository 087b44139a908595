"""Judge `groundplane pki kubernetes` by kubeadm itself: it must find every certificate and kubeconfig, and make none.

    .venv/bin/python tools/conformance/kubeadm.py

Builds kubeadm 1.31 with `go` (once, into build/kubeadm; the Go module proxy is needed), makes a cluster's files, and
runs kubeadm's own phases on one host's, in a mount namespace where they are /etc/kubernetes. Needs root.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = REPOSITORY / "build/kubeadm"
MODULE, VERSION, PARTS = "k8s.io/kubernetes", "v1.31.0", "v0.31.0"
ADDRESS = "10.0.0.21"
CONFIG = """\
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {{advertiseAddress: {address}}}
nodeRegistration: {{name: cp1, criSocket: unix:///run/none.sock}}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: {version}
controlPlaneEndpoint: {address}:6443
"""
PHASES = (
    ("certs", "check-expiration"),
    ("init", "phase", "certs", "all"),
    ("init", "phase", "kubeconfig", "all"),
)


def main() -> int:
    """Build, make, compare."""
    if shutil.which("go") is None:
        print("conformance: there is no go here: apt-get install golang-go", file=sys.stderr)
        return 5
    build()
    with tempfile.TemporaryDirectory() as scratch:
        return judge(Path(scratch))


def judge(top: Path) -> int:
    """0 if kubeadm finds everything, and leaves every file as it was."""
    host = {"name": "cp1", "addresses": [ADDRESS]}
    cluster = {"endpoint": f"{ADDRESS}:6443", "etcd": [host], "controlPlane": [host]}
    (top / "cluster.json").write_text(json.dumps(cluster))
    (top / "kubeadm.yaml").write_text(CONFIG.format(address=ADDRESS, version=VERSION))
    gp = [str(REPOSITORY / "gp"), "pki", "kubernetes", str(top / "cluster.json"), "--out", str(top / "out"), "-q"]
    subprocess.run(gp, check=True, stdout=subprocess.DEVNULL)
    etc = top / "out/hosts/cp1/etc/kubernetes"
    shutil.copy(top / "out/ca/etcd/ca.key", etc / "pki/etcd/ca.key")  # here etcd's CA is on the host too
    before = contents(etc)
    # On a file system of the namespace's own: /etc itself is not touched.
    script = """set -eu
mount -t tmpfs none /mnt
mkdir -p /mnt/upper /mnt/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /etc
mkdir -p /etc/kubernetes
mount --bind "$1" /etc/kubernetes
shift
exec "$@"
"""
    failed = 0
    for phase in PHASES:
        kubeadm = [str(BUILD / "kubeadm"), *phase, "--config", str(top / "kubeadm.yaml")]
        done = subprocess.run(
            ["unshare", "-m", "bash", "-c", script, "bash", str(etc), *kubeadm],
            capture_output=True,
            text=True,
            check=False,
        )
        print(done.stdout)
        made = [
            line for line in done.stdout.splitlines() if "Generating" in line or "Writing" in line or "MISSING" in line
        ]
        if done.returncode or made:
            failed += 1
            print(f"kubeadm {' '.join(phase)}: exit {done.returncode}\n{done.stderr}", file=sys.stderr)
    if contents(etc) != before:
        failed += 1
        print("kubeadm changed files", file=sys.stderr)
    print("kubeadm is content" if not failed else f"{failed} failed")
    return min(failed, 1)


def contents(top: Path) -> dict[str, bytes]:
    """Every file, by name."""
    return {str(path): path.read_bytes() for path in sorted(top.rglob("*")) if path.is_file()}


def build() -> None:
    """kubeadm, from exactly one version of its module."""
    if (BUILD / "kubeadm").exists():
        return
    BUILD.mkdir(parents=True, exist_ok=True)
    scratch = BUILD / "scratch"
    scratch.mkdir(exist_ok=True)
    (scratch / "go.mod").write_text("module scratch\n\ngo 1.22\n")
    told = go("mod", "download", "-json", f"{MODULE}@{VERSION}", at=scratch)
    sources = BUILD / "sources"
    if sources.exists():
        shutil.rmtree(sources)
    shutil.copytree(json.loads(told)["Dir"], sources)
    for path in (sources, *sources.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)  # the module cache is read-only, and the build writes go.sum
    # The module names its parts by folders that its archive has not; they are modules of the same age.
    text = (sources / "go.mod").read_text()
    text = re.sub(r"^replace \(.*?^\)\n", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"(k8s\.io/[a-z0-9-]+) v0\.0\.0( // indirect)?$", rf"\1 {PARTS}\2", text, flags=re.MULTILINE)
    (sources / "go.mod").write_text(text)
    go("build", "-trimpath", "-o", str(BUILD / "kubeadm"), "./cmd/kubeadm", at=sources)


def go(*arguments: str, at: Path) -> str:
    """What it says on standard output."""
    environment = {**os.environ, "GOFLAGS": "-mod=mod -buildvcs=false", "GOWORK": "off", "CGO_ENABLED": "0"}
    argv = ("go", *arguments)
    return subprocess.run(argv, cwd=at, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
