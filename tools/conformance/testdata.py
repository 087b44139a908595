"""CFSSL 1.6.5's own test data through CFSSL 1.6.5 and through ours, file by file.

    .venv/bin/python tools/conformance/testdata.py [--part 0/4]

Every file of every `testdata` folder of CFSSL's module is given to every command that takes such a file, as a
certificate, a request, a key, a policy, a bundle, a list: some 5,000 calls, most of them nonsense, and both have to
answer alike, or as docs/cfssl.md says. `--part 0/4` makes every fourth call. 0 if nothing is unexpected.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tools/conformance")]

import cfssl  # noqa: E402 - of this folder

from tests.lab import cfssl_compare  # noqa: E402

Call = tuple[str, ...]
Answer = dict[str, Any]
LOCAL, BUNDLER = "signer/local/testdata", "bundler/testdata"
RSA_CA = (f"-ca={LOCAL}/ca.pem", f"-ca-key={LOCAL}/ca_key.pem")
EC_CA = (f"-ca={LOCAL}/ecdsa256_ca.pem", f"-ca-key={LOCAL}/ecdsa256_ca_key.pem")
POOLS = (f"-ca-bundle={BUNDLER}/ca-bundle.pem", f"-int-bundle={BUNDLER}/int-bundle.pem")
OWN_POOLS = (f"-ca-bundle={BUNDLER}/ca.pem", f"-int-bundle={BUNDLER}/intermediates.crt")
RESPONDER = ("-responder=ocsp/testdata/server.crt", "-responder-key=ocsp/testdata/server.key")
PROFILES = ("a", "ca", "server", "CA", "client", "signature")
# Two keys whose private exponent is longer than their modulus: Go since 1.24 refuses them, Go before it did not.
LONG_EXPONENTS = (f"{BUNDLER}/ca.key", f"{LOCAL}/key.pem")
SMALL_KEYS = re.compile(r"sha1WithRSAEncryption|ecdsa-with-SHA1")


def main() -> int:
    """Make the calls, count, and show what nobody expected."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--part", default="0/1", help="which of how many parts")
    number, count = map(int, parser.parse_args().part.split("/"))
    if shutil.which("go") is None:
        print("conformance: there is no go here: apt-get install golang-go", file=sys.stderr)
        return 5
    cfssl.build()
    cfssl_compare.REAL = cfssl.BUILD / "bin"
    warnings.simplefilter("ignore")
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        files = gather(tree)
        for at, call in enumerate(dict.fromkeys(calls(files))):
            if at % count == number:
                found[judge(call, tree, Path(folder))] += 1
    for verdict, times in found.most_common():
        print(f"{times:6} {verdict}")
    return int(found["unexpected"] > 0 or not found["equal"])


def gather(tree: Path) -> list[str]:
    """A copy of all test data but the TLS library's; the files' names in it."""
    sources = cfssl.BUILD / "sources"
    for place in sources.rglob("testdata"):
        relative = place.relative_to(sources)
        if not str(relative).startswith("scan/"):
            shutil.copytree(place, tree / relative)
    return sorted(str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file())


def calls(files: list[str]) -> Iterator[Call]:
    """What is asked of both."""
    for name in files:
        yield from _of_any(name)
        if name.endswith(".json"):
            yield from _of_json(name)
        if "key" in name.lower() and not name.endswith((".json", ".sh", ".conf")):
            yield from _of_key(name)
        if name.startswith(("bundler/", "ubiquity/", "testdata/roots/")):
            yield from _of_chain(name)
        if name.startswith("ocsp/"):
            yield from _of_ocsp(name)
    for key in (name for name in files if "key" in name.lower() and not name.endswith((".json", ".sh", ".conf"))):
        beside = [name for name in files if Path(name).parent == Path(key).parent]
        for certificate in (name for name in beside if name.endswith((".pem", ".crt", ".der")) and "key" not in name):
            yield from _of_pair(certificate, key)


def _of_any(name: str) -> Iterator[Call]:
    yield "cfssl", "certinfo", "-cert", name
    yield "cfssl", "certinfo", "-csr", name
    yield "cfssl-certinfo", "-cert", name
    yield "cfssl", "bundle", "-cert", name, *POOLS
    yield "cfssl", "sign", *RSA_CA, name
    yield "cfssl", "sign", *EC_CA, "-hostname=a.com,1.2.3.4", name
    yield "cfssl", "gencert", "-initca", "-ca-key", name, "cli/testdata/csr.json"
    yield "cfssl", "gencert", *RSA_CA, "-profile=x", name
    yield "cfssl", "gencrl", name, "api/testdata/ca.pem", "api/testdata/ca_key.pem"


def _of_json(name: str) -> Iterator[Call]:
    yield "cfssl", "gencert", "-initca", name
    yield "cfssl", "genkey", name
    yield "cfssl", "genkey", "-initca", name
    yield "cfssl", "gencert", *RSA_CA, "-config", name, "testdata/csr.json"
    yield "cfssl", "sign", *RSA_CA, "-config", name, f"{LOCAL}/rsa2048.csr"
    for profile in PROFILES:
        yield "cfssl", "sign", *RSA_CA, "-config", name, "-profile", profile, f"{LOCAL}/ecdsa256.csr"
    yield "cfssl", "selfsign", "host.example", name
    yield "cfssl", "gencsr", "-key", "cli/gencsr/testdata/test-key.pem", name
    yield "cfssl", "gencert", *RSA_CA, "-db-config", name, "testdata/csr.json"
    yield "cfssljson", "-bare", "out", "-f", name
    yield "cfssljson", "-stdout", "-f", name


def _of_key(name: str) -> Iterator[Call]:
    yield "cfssl", "gencsr", "-key", name, "testdata/csr.json"
    yield "cfssl", "gencert", "-initca", "-ca-key", name, "testdata/csr.json"
    key = ("-responder-key", name)
    yield "cfssl", "ocspsign", "-ca=ocsp/testdata/ca.pem", RESPONDER[0], *key, "-cert=ocsp/testdata/cert.pem"


def _of_pair(certificate: str, key: str) -> Iterator[Call]:
    yield "cfssl", "gencert", "-renewca", "-ca", certificate, "-ca-key", key
    yield "cfssl", "sign", "-ca", certificate, "-ca-key", key, f"{LOCAL}/ecdsa384.csr"
    yield "cfssl", "bundle", "-cert", certificate, "-key", key, *POOLS
    yield "cfssl", "gencrl", "crl/testdata/serialList", certificate, key
    yield "cfssl", "gencert", "-ca", certificate, "-ca-key", key, "cli/testdata/csr.json"


def _of_chain(name: str) -> Iterator[Call]:
    for flavor in ("optimal", "ubiquitous", "force"):
        asked = ("cfssl", "bundle", "-cert", name, "-flavor", flavor)
        yield *asked, *POOLS, "-metadata=ubiquity/testdata/ca.pem.metadata"
        yield *asked, *OWN_POOLS, f"-metadata={BUNDLER}/ca-bundle.crt.metadata"
    leaf = ("cfssl", "bundle", "-cert", f"{BUNDLER}/cfssl-leaf-rsa2048.pem")
    yield *leaf, "-ca-bundle", name, POOLS[1]
    yield *leaf, OWN_POOLS[0], "-int-bundle", name


def _of_ocsp(name: str) -> Iterator[Call]:
    yield "cfssl", "ocspdump", "-db-config", name
    yield "cfssl", "ocspsign", "-ca=ocsp/testdata/ca.pem", *RESPONDER, "-cert", name
    yield "cfssl", "ocspsign", "-ca", name, *RESPONDER, "-cert=ocsp/testdata/cert.pem"
    yield "cfssl", "ocspserve", "-responses", name, "-port=99999"


def judge(call: Call, tree: Path, folder: Path) -> str:
    """`equal`, the paragraph of docs/cfssl.md that says why not, or `unexpected`."""
    theirs, ours = (answer(call, tree, folder / who, real=who == "theirs") for who in ("theirs", "ours"))
    differ = {name for name in theirs if theirs[name] != ours[name]}
    if not differ:
        return "equal"
    if why := expected(call, theirs, ours, differ):
        return f"docs/cfssl.md: {why}"
    print("unexpected:", *call)
    for name in sorted(differ):
        print(f"  {name}: CFSSL's {str(theirs[name])[-600:]}\n  {name}: ours    {str(ours[name])[-600:]}")
    return "unexpected"


def answer(call: Call, tree: Path, place: Path, *, real: bool) -> Answer:
    """What a call leaves behind, in a copy of the tree that is new each time."""
    for old in place.parent.glob(f"{place.name}*"):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    shutil.copytree(tree, place)
    given = set(place.rglob("*"))
    try:
        code, out, err = (cfssl_compare.call_real if real else cfssl_compare.call_ours)(call, place)
    except subprocess.TimeoutExpired:
        return {"code": "it does not end", "stdout": b"", "stderr": "", "files": {}}
    return {
        "code": code,
        "stdout": _steady(call, cfssl_compare.described(out)),
        "stderr": re.sub(r"current time \S+", "current time", cfssl_compare.scrubbed(err.decode(errors="replace"))),
        "files": {
            str(path.relative_to(place)): (path.stat().st_mode, path.is_file() and path.read_bytes())
            for path in place.rglob("*")
            if path not in given
        },
    }


def _steady(call: Call, out: object) -> object:
    """Without what is random in it, and what each version of Go has its own way with."""
    if call[1] in {"gencrl", "ocspsign"} and out:
        return "signed"  # what ECDSA signs ends in something random, and its size varies, too
    if not isinstance(out, bytes) or not out.startswith(b"{"):
        return out
    document = json.loads(out)
    if call[1] == "bundle":
        return {**document, "hostnames": sorted(document["hostnames"])}
    if "-csr" in call:  # the order of a URL's fields, and whether `true` is a value of an attribute
        return json.loads(re.sub(rb'"Value": true', b'"Value": null', out))
    return out


def expected(call: Call, theirs: Answer, ours: Answer, differ: set[str]) -> str:
    """The paragraph about such a difference, or nothing."""
    text, mine = theirs["stderr"], ours["stderr"]
    if "Traceback" in mine or not isinstance(ours["code"], int):
        return ""
    rules = (
        ("Panics", "panic: runtime error" in text),
        ("Texts of newer Go", any(name in call for name in LONG_EXPONENTS)),
        ("Words of refusals", "asn1:" in text and theirs["code"] == ours["code"] and differ == {"stderr"}),
        ("The database and its lists", call[1] == "gencrl" and ("2300" in mine or "is no serial number" in mine)),
        ("The database and its lists", call[1] == "gencrl" and '"code":2200' in mine),
        ("OCSP", "only RSA and ECDSA keys supported" in text and ours["code"] == 0),
        ("Remotes and multirootca", "first path segment in URL cannot contain colon" in text),
        ("Stricter on purpose", differ == {"stdout"} and bool(SMALL_KEYS.search(str(theirs["stdout"])))),
    )
    return next((why for why, applies in rules if applies), "")


if __name__ == "__main__":
    sys.exit(main())
