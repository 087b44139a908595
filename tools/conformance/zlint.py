"""Judge groundplane's rules about certificates by zlint itself, certificate by certificate.

    .venv/bin/python tools/conformance/zlint.py

Builds a small program on zlint's module with `go` (into build/zlint; the Go module proxy is needed for that), and lets
both judge each of the test suite's certificates and those of zlint's own tests. 0 if they agree but for what
docs/cfssl.md says.
"""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = REPOSITORY / "build/zlint"
ZLINT, ZCRYPTO = "github.com/zmap/zlint/v3@v3.5.0", "github.com/zmap/zcrypto@v0.0.0-20230310154051-c8b263fd8300"
# Rules that differ, and why: docs/cfssl.md, "Lints". The last is one certificate, signed by DSA with too long a digest.
KNOWN = {
    ("dnsNameWasValidTLD", "e_dnsname_not_valid_tld"),
    ("e_generalized_time_not_in_zulu.breaks", "e_generalized_time_includes_fraction_seconds"),
}
KNOWN_CERTIFICATES = {"dsaCert"}
PROGRAM = """package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		data, _ := os.ReadFile(lines.Text())
		results := map[string]string{}
		if certificate, err := x509.ParseCertificate(data); err == nil {
			for name, result := range zlint.LintCertificate(certificate).Results {
				results[name] = result.Status.String()
			}
		}
		line, _ := json.Marshal(results)
		fmt.Println(string(line))
	}
}
"""


def main() -> int:
    """Build, collect, compare."""
    if shutil.which("go") is None:
        print("conformance: there is no go here: apt-get install golang-go", file=sys.stderr)
        return 5
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "src")]
    theirs_at = build()
    paths = collect(theirs_at)
    told = subprocess.run(
        (str(BUILD / "judge"),),
        input="\n".join(map(str, paths)) + "\n",
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout.splitlines()
    return report(paths, [json.loads(line) for line in told])


def report(paths: list[Path], theirs: list[dict[str, str]]) -> int:
    """What differs, and how much was compared."""
    from groundplane.pki.lint.verdict import judge
    from groundplane.pki.lint.view import Unreadable, view

    counts: Counter[str] = Counter()
    for path, verdict in zip(paths, theirs, strict=True):
        try:
            ours = {finding.name: finding.status.word for finding in judge(view(path.read_bytes()))}
        except Unreadable:
            counts["refused by " + ("ours alone" if verdict else "both")] += 1
            continue
        if not verdict:
            counts["refused by zlint alone"] += 1
            continue
        counts["certificates"] += 1
        for name, result in verdict.items():
            counts["results"] += 1
            if ours[name] != result:
                known = path.stem in KNOWN_CERTIFICATES or (path.stem, name) in KNOWN
                counts["known differences" if known else "differences"] += 1
                if not known:
                    print(f"{path.stem}: {name}: zlint {result}, ours {ours[name]}")
    print(", ".join(f"{counts[what]} {what}" for what in sorted(counts)))
    return 1 if counts["differences"] or counts["refused by ours alone"] else 0


def collect(sources: Path) -> list[Path]:
    """All certificates as files of DER: ours two a rule, and zlint's own."""
    from groundplane.pki.lint.view import Unreadable, certificates_of
    from tests.unit.pki_lint.cases import CASES

    place = BUILD / "certificates"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    found = {
        f"{name}.{what}.der": data
        for name, *both in CASES
        for what, data in zip(("breaks", "keeps"), both, strict=True)
    }
    for path in sorted((sources / "testdata").glob("*.pem")):
        try:
            found[f"{path.stem}.der"] = certificates_of(path.read_bytes(), source=path)[0]
        except Unreadable:
            continue  # a revocation list
    for name, data in found.items():
        (place / name).write_bytes(data)
    return [place / name for name in found]


def build() -> Path:
    """The program; where zlint's module is unpacked."""
    scratch = BUILD / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    (scratch / "go.mod").write_text("module scratch\n\ngo 1.20\n")
    (scratch / "main.go").write_text(PROGRAM)
    go("get", ZLINT, ZCRYPTO, at=scratch)
    go("build", "-trimpath", "-o", str(BUILD / "judge"), ".", at=scratch)
    return Path(json.loads(go("mod", "download", "-json", ZLINT, at=scratch))["Dir"])


def go(*arguments: str, at: Path) -> str:
    """What it says on standard output."""
    environment = {**os.environ, "GOFLAGS": "-mod=mod -buildvcs=false"}
    return subprocess.run(
        ("go", *arguments), cwd=at, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


if __name__ == "__main__":
    sys.exit(main())
