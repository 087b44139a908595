"""One call to CFSSL and to ours: what each leaves behind, with what is random described instead of quoted."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from groundplane.cli.cfssl.main import main

NEWER = os.environ.get("GROUNDPLANE_CFSSL_1_6_5", "")  # where its programs are: tools/conformance/cfssl.py sets it
REAL = Path(NEWER or "/usr/bin")

_SCRUB = (
    (re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d "), "TIME "),
    (re.compile(r"serial number \d+"), "serial number N"),
    (re.compile(r'(lacks a "hosts" field)\..*', re.DOTALL), r"\1"),
    (re.compile(r"\*\*\* WARNING \*\*\*.*\*\*\* WARNING \*\*\*\n", re.DOTALL), "BANNER\n"),
    (re.compile(r"^(flag provided|flag needs|invalid value|invalid boolean|bad flag)(.*?)\n.*", re.DOTALL), r"\1\2"),
    (re.compile(r"^(No command is given\.|Command .* is not defined\.)\n.*", re.DOTALL), r"\1"),
    (re.compile(r"^(\tcfssl \w+ --|Usage:\n).*", re.DOTALL), "USAGE"),
)
# 1.2.0 leaves out the first zero of an octet in a key's identifier.
_SHORT_OCTET = re.compile(rb'(?<=[":])0([0-9A-F])(?=[":])')


@dataclass(frozen=True)
class About:
    """A date that is cut to the minute: one may have turned between the two calls."""

    date: datetime

    def __eq__(self, other: object) -> bool:
        return isinstance(other, About) and abs((self.date - other.date).total_seconds()) <= 70

    def __hash__(self) -> int:
        return 0


def call_real(
    argv: Sequence[str], folder: Path, stdin: bytes = b"", *, env: Mapping[str, str] = {}
) -> tuple[int, bytes, bytes]:
    """Exit code, standard output, standard error."""
    argv = (str(REAL / argv[0]), *argv[1:])
    env = {**os.environ, **env}
    done = subprocess.run(argv, cwd=folder, input=stdin, capture_output=True, check=False, timeout=30, env=env)
    return done.returncode, done.stdout, done.stderr


def call_ours(
    argv: Sequence[str], folder: Path, stdin: bytes = b"", *, env: Mapping[str, str] = {}
) -> tuple[int, bytes, bytes]:
    """The same, in a forked child, which saves the 0.1 s that a new interpreter takes."""
    places = {name: folder.with_name(f"{folder.name}.{name}") for name in ("in", "out", "err")}
    places["in"].write_bytes(stdin)
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.chdir(folder)
            os.environ.update(env)
            for number, (name, mode) in enumerate((("in", os.O_RDONLY), ("out", os.O_WRONLY), ("err", os.O_WRONLY))):
                os.dup2(os.open(places[name], mode | os.O_CREAT | (os.O_TRUNC if mode else 0), 0o600), number)
            sys.stdin, sys.stdout, sys.stderr = (
                io.TextIOWrapper(io.FileIO(number, mode, closefd=False), write_through=True)
                for number, mode in ((0, "r"), (1, "w"), (2, "w"))
            )
            code = main(argv[0], list(argv[1:]))
        except BaseException:  # noqa: BLE001 - nothing may unwind into the parent's test run
            import traceback

            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), places["out"].read_bytes(), places["err"].read_bytes()


def scrubbed(text: str) -> str:
    """Standard error without times, numbers, and texts that are our own."""
    for pattern, replacement in _SCRUB:
        text = pattern.sub(replacement, text)
    return text


def described(out: bytes) -> object:
    """JSON with certificates as what they say; anything else as it is."""
    if out.startswith(b"Default configurations"):
        return sorted(out.split(b"\n"))  # CFSSL's order is random
    try:
        document = json.loads(out)
    except ValueError:
        return out
    if not isinstance(document, dict) or not document.keys() <= {"cert", "csr", "key"}:
        return _SHORT_OCTET.sub(rb"\1", out)
    assert out == (json.dumps(document, separators=(",", ":"), ensure_ascii=False) + "\n").encode()
    readers = {"cert": _certificate, "csr": _request, "key": _key}
    return {name: readers[name](text.encode()) for name, text in document.items()}


def _certificate(pem: bytes) -> object:
    it = x509.load_pem_x509_certificate(pem)
    start, end = it.not_valid_before_utc, it.not_valid_after_utc
    return {
        "subject": it.subject.public_bytes(),
        "issuer": it.issuer.public_bytes(),
        "digest": it.signature_algorithm_oid,
        "lifetime": end - start,
        "start": About(start),
        "extensions": _extensions(it, pem),
        "serial": it.serial_number.bit_length() > 100,
        "lines": pem.startswith(b"-----BEGIN CERTIFICATE-----\n") and pem.endswith(b"-----\n"),
    }


def _extensions(it: x509.Certificate, pem: bytes) -> object:
    try:
        return [_extension(e) for e in it.extensions]
    except ValueError:  # cryptography refuses to read "encipher only" without "key agreement"
        argv = ("openssl", "asn1parse")
        lines = (
            subprocess.run(argv, input=pem, capture_output=True, check=True, timeout=30).stdout.decode().splitlines()
        )
        dumps = [line.rpartition(":")[2] for line in lines if "OBJECT" in line or "HEX DUMP" in line]
        return [dump for dump, before in zip(dumps[1:], dumps, strict=False) if "Subject Key Identifier" not in before]


def _extension(extension: Any) -> object:
    value = extension.value
    random = isinstance(value, x509.SubjectKeyIdentifier)
    return extension.oid.dotted_string, extension.critical, b"" if random else value.public_bytes()


def _request(pem: bytes) -> object:
    it = x509.load_pem_x509_csr(pem)
    extensions = [_extension(e) for e in it.extensions]
    label = pem.split(b"\n")[0]
    return label, it.subject.public_bytes(), it.signature_algorithm_oid, extensions, it.is_signature_valid


def _key(pem: bytes) -> object:
    pem = pem.replace(b" Ed25519 PRIVATE", b" PRIVATE")  # one of the differences in the document
    key: Any = load_pem_private_key(pem, None)
    return pem.split(b"\n")[0], getattr(key, "key_size", 0), type(key).__name__
