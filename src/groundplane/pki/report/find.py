"""Certificates in files: PEM with anything around it, DER, PKCS#7, and kubeconfigs.

Whatever cannot be read is a trouble of its place, and the rest is reported all the same. A file that is named must hold
a certificate; in a directory, files that hold none are passed over, but not those that begin one and do not end it.
Links to files are followed (a kubelet's current certificate is one), links to directories are not.
"""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import pkcs7

from groundplane.errors import Invalid
from groundplane.pki.load import certificate_of_der, certificate_of_pem
from groundplane.pki.report.blocks import blocks, mentions_one
from groundplane.pki.report.kubeconfig import is_kubeconfig, parts
from groundplane.pki.report.model import Found
from groundplane.pki.report.words import in_words
from groundplane.pki.seen import see

LARGEST = 8 << 20  # bytes; a bundle of every public root has a quarter of a megabyte
_DER = b"\x30"
_DER_SUFFIXES = frozenset({".cer", ".crt", ".der", ".p7b", ".p7c"})


def in_path(path: Path) -> Iterator[Found]:
    """All of a file or, recursively, of a directory; what cannot be read is a trouble."""
    try:
        is_directory = path.is_dir()
        path.stat()
    except FileNotFoundError:
        yield Found(place=str(path), trouble="there is no such file or directory")
        return
    except OSError as bad:
        yield _unreadable(path, bad)
        return
    if is_directory:
        yield from _in_directory(path)
        return
    found = list(in_file(path, binary=True))
    yield from found or [Found(place=str(path), trouble="there is no certificate in it")]


def in_file(path: Path, *, binary: bool = False) -> Iterator[Found]:
    """All of a file, none if it has none. `binary`: it may be DER whatever its name says."""
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST + 1)
    except OSError as bad:
        yield _unreadable(path, bad)
        return
    if len(data) > LARGEST:
        if binary or mentions_one(data):
            yield Found(place=str(path), trouble=f"it has more than {LARGEST >> 20} MiB, and is not read")
        return
    is_one = path.suffix.lower() in _DER_SUFFIXES
    if not data and is_one:
        yield Found(place=str(path), trouble="it is empty")
    elif is_kubeconfig(data):
        yield from in_kubeconfig(data, path)
    else:
        yield from in_bytes(data, place=str(path), binary=binary or is_one)


def _in_directory(top: Path) -> Iterator[Found]:
    closed: list[OSError] = []
    for folder, folders, names in os.walk(top, onerror=closed.append):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            try:
                if path.is_file():
                    yield from in_file(path)
            except OSError as bad:  # a link to where we may not look
                yield _unreadable(path, bad)
    for refused in closed:
        yield _unreadable(Path(refused.filename or top), refused)


def _unreadable(path: Path, bad: OSError) -> Found:
    return Found(place=str(path), trouble=f"it cannot be read: {(bad.strerror or str(bad)).lower()}")


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
        return Found(place=place, trouble=f"it cannot be understood: {in_words(odd.__cause__ or odd)}")
    return Found(place=place, certificate=seen, fingerprint=it.fingerprint(hashes.SHA256()).hex())


def _load(data: bytes, *, binary: bool) -> Iterator[x509.Certificate | str]:
    """Certificates, or what is wrong with one."""
    for block in blocks(data):
        if block.pem is None:
            yield "a certificate begins in it and does not end: it is cut off"
        elif block.is_pkcs7:
            yield from _several(block.pem, is_pem=True)
        else:
            yield _one(block.pem)
    if binary and data.startswith(_DER):
        try:
            yield certificate_of_der(data)
        except ValueError:
            yield from _several(data, is_pem=False)


def _one(pem: bytes) -> x509.Certificate | str:
    try:
        return certificate_of_pem(pem)
    except ValueError as bad:
        return f"the certificate is damaged: {in_words(bad)}"


def _several(data: bytes, *, is_pem: bool) -> Iterator[x509.Certificate | str]:
    load = pkcs7.load_pem_pkcs7_certificates if is_pem else pkcs7.load_der_pkcs7_certificates
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # BER where DER belongs: what counts is that it can be read
            yield from load(data)
    except (ValueError, UnsupportedAlgorithm) as bad:
        yield f"neither a certificate nor PKCS#7: {in_words(bad)}"
