"""Certificates in files: PEM with anything around it, DER, PKCS#7, and kubeconfigs.

A file that is named must hold one; in a directory, files that hold none are passed over. Links to files are followed
(a kubelet's current certificate is one), links to directories are not.
"""

import re
import warnings
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import pkcs7

from groundplane.errors import Invalid, NotFound
from groundplane.pki.load import certificate_of_der, certificate_of_pem
from groundplane.pki.report.kubeconfig import is_kubeconfig, parts
from groundplane.pki.report.model import Found
from groundplane.pki.seen import see

LARGEST = 8 << 20  # bytes; a bundle of every public root has a quarter of a megabyte
_CERTIFICATE = re.compile(
    rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----.+?-----END (?:X509 |TRUSTED )?CERTIFICATE-----", re.DOTALL
)
_PKCS7 = re.compile(rb"-----BEGIN PKCS7-----.+?-----END PKCS7-----", re.DOTALL)
_DER = b"\x30"
_DER_SUFFIXES = frozenset({".cer", ".crt", ".der", ".p7b", ".p7c"})


def in_path(path: Path) -> Iterator[Found]:
    """All of a file or, recursively, of a directory. Raises NotFound, or Invalid for a file without a certificate."""
    if not path.is_dir():
        found = list(in_file(path))
        if not found:
            raise Invalid("there is no certificate in it", to=path, hint="name a PEM, DER, PKCS#7 or kubeconfig file")
        yield from found
        return
    for inner in sorted(path.rglob("*")):
        if inner.is_file():
            try:
                yield from in_file(inner)
            except NotFound as gone:
                yield Found(place=str(inner), trouble=gone.happened)


def in_file(path: Path) -> Iterator[Found]:
    """All of a file; none is no error. Raises NotFound for one that cannot be read."""
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST + 1)
    except OSError as bad:
        raise NotFound(f"cannot be read: {bad.strerror or bad}", to=path, hint="name another file") from bad
    if len(data) > LARGEST:
        return
    if is_kubeconfig(data):
        yield from in_kubeconfig(data, path)
    else:
        yield from in_bytes(data, place=str(path), binary=path.suffix.lower() in _DER_SUFFIXES)


def in_bytes(data: bytes, *, place: str, binary: bool = True) -> Iterator[Found]:
    """All of PEM or, if `binary`, of DER; a second one of a place is numbered."""
    loaded = list(_load(data, binary=binary))
    for number, one in enumerate(loaded, 1):
        yield _found(one, f"{place}#{number}" if len(loaded) > 1 else place)


def in_kubeconfig(data: bytes, path: Path) -> Iterator[Found]:
    """The certificates of its clusters and users, also those in files that it names."""
    for part in parts(data, directory=path.parent):
        place = f"{path}: {part.name}"
        if part.trouble:
            yield Found(place=place, trouble=part.trouble)
            continue
        found = list(in_bytes(part.data, place=place))
        yield from found or [Found(place=place, trouble="there is no certificate in it")]


def found_of(certificate: x509.Certificate, place: str) -> Found:
    """One that somebody else has read."""
    return _found(certificate, place)


def _found(it: x509.Certificate | str, place: str) -> Found:
    if isinstance(it, str):
        return Found(place=place, trouble=it)
    try:
        seen = see(it, source=place)
    except Invalid as odd:
        return Found(place=place, trouble=odd.happened)
    return Found(place=place, certificate=seen, fingerprint=it.fingerprint(hashes.SHA256()).hex())


def _load(data: bytes, *, binary: bool) -> Iterator[x509.Certificate | str]:
    """Certificates, or what is wrong with one."""
    for block in _CERTIFICATE.findall(data):
        pem = block.replace(b"TRUSTED CERTIFICATE", b"CERTIFICATE").replace(b"X509 CERTIFICATE", b"CERTIFICATE")
        yield _one(pem)
    for block in _PKCS7.findall(data):
        yield from _several(block, is_pem=True)
    if binary and data.startswith(_DER):
        try:
            yield certificate_of_der(data)
        except ValueError:
            yield from _several(data, is_pem=False)


def _one(pem: bytes) -> x509.Certificate | str:
    try:
        return certificate_of_pem(pem)
    except ValueError as bad:
        return f"the certificate is damaged: {bad}"


def _several(data: bytes, *, is_pem: bool) -> Iterator[x509.Certificate | str]:
    load = pkcs7.load_pem_pkcs7_certificates if is_pem else pkcs7.load_der_pkcs7_certificates
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # BER where DER belongs: what counts is that it can be read
            yield from load(data)
    except (ValueError, UnsupportedAlgorithm) as bad:
        yield f"neither a certificate nor PKCS#7: {bad}"
