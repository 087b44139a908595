"""Judge groundplane-cri by the originals' own clients: critest, and a walk through crictl.

    .venv/bin/python tools/conformance/run.py [--handler runc] [--focus REGEXP] [--keep]

Builds both with `go` (once, into build/conformance), makes the images that critest would pull, brings a lab up, runs
them on one of its hosts against the runtime that runs there, and takes the lab down. Needs root, go, the Go module
proxy for the first build, and Debian's containernetworking-plugins and iptables. The exit code is 0 if nothing failed
but what `inside.KNOWN` lists, and all of that did.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
BUILD = REPOSITORY / "build/conformance"
MODULE, VERSION = "sigs.k8s.io/cri-tools", "v1.30.0"
CLUSTER, HOST = "conformance", "etcd1"

sys.path.insert(0, str(HERE))


def main() -> int:
    """Build, bring up, run, take down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--focus", default="", help="only the specs that match")
    parser.add_argument("--handler", default="", help="another OCI runtime than the default, by its program's name")
    parser.add_argument("--keep", action="store_true", help="leave the lab up")
    wanted = parser.parse_args()
    if shutil.which("go") is None:
        print("conformance: there is no go here: apt-get install golang-go", file=sys.stderr)
        return 5
    BUILD.mkdir(parents=True, exist_ok=True)
    build_clients()
    make_images()
    gp("up", "--name", CLUSTER, "-q")
    try:
        python = REPOSITORY / ".venv/bin/python"
        inside = (str(python), str(HERE / "inside.py"), str(BUILD), wanted.handler, wanted.focus)
        return gp("shell", "--name", CLUSTER, HOST, "--", *inside, check=False)
    finally:
        if not wanted.keep:
            gp("down", "--name", CLUSTER, "--purge")


def gp(*arguments: str, check: bool = True) -> int:
    """Our own command; its exit code."""
    done = subprocess.run([str(REPOSITORY / "gp"), *arguments], check=check, stdout=None if not check else sys.stderr)
    return done.returncode


def build_clients() -> None:
    """crictl, critest and the stand-in, from exactly one version of the originals' module."""
    stamp = BUILD / "version"
    if not stamp.exists() or stamp.read_text() != VERSION:
        scratch = BUILD / "scratch"
        scratch.mkdir(exist_ok=True)
        (scratch / "go.mod").write_text("module scratch\n\ngo 1.21\n")
        # `go install MODULE@VERSION` would not do: critest is a test program, and the module calls itself otherwise.
        told = go("mod", "download", "-json", f"{MODULE}@{VERSION}", at=scratch)
        sources = BUILD / "sources"
        if sources.exists():
            shutil.rmtree(sources)
        shutil.copytree(json.loads(told)["Dir"], sources)
        for path in (sources, *sources.rglob("*")):
            path.chmod(path.stat().st_mode | 0o200)  # the module cache is read-only, and the build writes go.sum
        go("build", "-o", str(BUILD / "crictl"), "./cmd/crictl", at=sources)
        go("test", "-c", "-o", str(BUILD / "critest"), "./cmd/critest", at=sources)
        stamp.write_text(VERSION)
    go("build", "-trimpath", "-ldflags=-s -w", "-o", str(BUILD / "standin"), ".", at=HERE / "standin")


def go(*arguments: str, at: Path) -> str:
    """What it says on standard output."""
    environment = {**os.environ, "GOFLAGS": "-mod=mod -buildvcs=false", "CGO_ENABLED": "0"}
    done = subprocess.run(["go", *arguments], cwd=at, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def make_images() -> None:
    """An archive for each image that the suite names, under the name by which the runtime finds it."""
    import images

    from groundplane.runtime.image.verbs import archive_name

    folder = BUILD / "images"
    folder.mkdir(exist_ok=True)
    busybox = Path("/bin/busybox")
    bases = {True: images.base_layer(busybox, BUILD / "standin"), False: images.base_layer(busybox, None)}
    for name, recipe in images.wanted(BUILD / "sources"):
        (folder / archive_name(name)).write_bytes(images.archive(bases[recipe.stand_ins], recipe))


if __name__ == "__main__":
    sys.exit(main())
