"""Judge groundplane's CFSSL by CFSSL 1.6.5 itself, call by call.

    .venv/bin/python tools/conformance/cfssl.py [pytest's arguments]

Builds CFSSL's programs with `go` (once, into build/cfssl; the Go module proxy is needed for that), and runs the
side-by-side tests with them in place of Debian's 1.2.0, and with more calls. The exit code is pytest's.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = REPOSITORY / "build/cfssl"
MODULE, VERSION = "github.com/cloudflare/cfssl", "v1.6.5"
PROGRAMS = (
    *("cfssl", "cfssljson", "cfssl-bundle", "cfssl-certinfo", "cfssl-newkey", "cfssl-scan"),
    *("mkbundle", "multirootca"),
)


def main() -> int:
    """Build, then run."""
    if shutil.which("go") is None:
        print("conformance: there is no go here: apt-get install golang-go", file=sys.stderr)
        return 5
    build()
    env = {**os.environ, "GROUNDPLANE_CFSSL_1_6_5": str(BUILD / "bin")}
    tests = sorted(map(str, REPOSITORY.glob("tests/lab/test_cfssl_side_by_side*.py")))
    tests += [
        str(REPOSITORY / f"tests/lab/test_pki_{topic}.py") for topic in ("chain", "multiroot", "ocsp", "remote", "scan")
    ]
    argv = [str(REPOSITORY / ".venv/bin/python"), "-m", "pytest", *tests, *sys.argv[1:]]
    return subprocess.run(argv, cwd=REPOSITORY, env=env, check=False).returncode


def build() -> None:
    """CFSSL's programs, from exactly one version of its module."""
    stamp = BUILD / "version"
    sources = BUILD / "sources"
    if stamp.exists() and stamp.read_text() == VERSION and sources.exists():
        return
    BUILD.mkdir(parents=True, exist_ok=True)
    scratch = BUILD / "scratch"
    scratch.mkdir(exist_ok=True)
    (scratch / "go.mod").write_text("module scratch\n\ngo 1.21\n")
    told = go("mod", "download", "-json", f"{MODULE}@{VERSION}", at=scratch)
    if sources.exists():
        shutil.rmtree(sources)
    # The module carries an incomplete copy of its dependencies, which go would prefer.
    shutil.copytree(json.loads(told)["Dir"], sources, ignore=shutil.ignore_patterns("vendor"))
    for path in (sources, *sources.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)  # the module cache is read-only, and the build writes go.sum
    for program in PROGRAMS:
        go("build", "-trimpath", "-o", str(BUILD / "bin" / program), f"./cmd/{program}", at=sources)
    stamp.write_text(VERSION)


def go(*arguments: str, at: Path) -> str:
    """What it says on standard output. SQLite is C, so cgo stays on."""
    environment = {**os.environ, "GOFLAGS": "-mod=mod -buildvcs=false"}
    argv = ("go", *arguments)
    return subprocess.run(argv, cwd=at, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
