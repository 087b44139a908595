"""Certificates in whatever form they come: PEM lists, PKCS#7, PKCS#12, DER; from PKCS#12 the key too.

Every byte here may be a stranger's. What cannot be read raises `Unreadable`, which says whether there was nothing
to read, or something that is broken: CFSSL has a code for each.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from groundplane.errors import Exhausted, Invalid
from groundplane.pki import der
from groundplane.pki.chain.link import Link, link_of
from groundplane.pki.keys import PrivateKey
from groundplane.pki.load import certificate_of_der
from groundplane.pki.pem import pem_blocks

MOST_BYTES = 16 << 20
MOST_CERTIFICATES = 10_000
_SEQUENCE = 0x30


class Unreadable(Invalid):
    """There is no certificate in it (`found` False), or one that cannot be read."""

    def __init__(self, happened: str, *, to: object, found: bool) -> None:
        self.found = found
        hint = "give certificates as PEM, DER, PKCS#7 or PKCS#12"
        super().__init__(happened, to=to, hint=hint)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.happened, str(self.to), self.found)


def _rebuild(happened: str, to: str, found: bool) -> Unreadable:  # noqa: FBT001 - for pickle, which has no keywords
    return Unreadable(happened, to=to, found=found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a file held: certificates in its order, and a key if one was there."""

    certificates: tuple[Link, ...]
    key: PrivateKey | None = None


def read_pem(data: bytes, *, source: str) -> tuple[Link, ...]:
    """The certificates of PEM blocks, each a certificate or PKCS#7; none for no bytes. Raises Unreadable."""
    _check_size(len(data), source)
    found: list[Link] = []
    stop = 0
    for block in pem_blocks(data):
        stop = block.stop
        found += _of_block(block.content, source)
        if len(found) > MOST_CERTIFICATES:
            raise Exhausted(f"more than {MOST_CERTIFICATES} certificates", to=source, hint="split the file")
    if data[stop:].strip():
        raise Unreadable("there is something in it that is no certificate", to=source, found=False)
    return tuple(found)


def read_every_pem(data: bytes) -> tuple[Link, ...]:
    """Those certificates of PEM blocks that can be read; the others are passed over. For stores of roots."""
    found: list[Link] = []
    for block in pem_blocks(data[:MOST_BYTES]):
        try:
            found += _of_block(block.content, "store")
        except Invalid:
            continue  # such as a root with a negative serial number: nobody here can follow it
    return tuple(found)


def read_material(data: bytes, *, source: str, password: str = "", key_stores: bool = True) -> Material:
    """Certificates, and perhaps a key, in any form; `key_stores` False leaves PKCS#12 out. Raises Unreadable."""
    try:
        certificates = read_pem(data, source=source)
    except Unreadable:
        material = _read_der(data, password, source, key_stores=key_stores)
        if material is None:
            raise
        return material
    if not certificates:
        raise Unreadable("there is no certificate in it", to=source, found=False)
    return Material(certificates=certificates)


def read_one(data: bytes, *, source: str) -> Link:
    """One certificate, DER or PEM or alone in PKCS#7: what an address of an issuer leads to. Raises Unreadable."""
    found = read_material(data, source=source, key_stores=False).certificates
    if len(found) != 1:
        raise Unreadable(f"there are {len(found)} certificates in it instead of one", to=source, found=True)
    return found[0]


def _of_block(content: bytes, source: str) -> tuple[Link, ...]:
    try:
        return (link_of(certificate_of_der(content), source=source),)
    except ValueError as bad:
        if several := _pkcs7(content, source):
            return several
        raise Unreadable("there is something in it that is no certificate", to=source, found=True) from bad
    except Unreadable:
        raise
    except Invalid as odd:
        raise Unreadable(odd.happened, to=source, found=True) from odd


def _pkcs7(content: bytes, source: str) -> tuple[Link, ...]:
    from cryptography.hazmat.primitives.serialization.pkcs7 import load_der_pkcs7_certificates

    several = _tried(load_der_pkcs7_certificates, content) or []
    return tuple(link_of(each, source=source) for each in several[:MOST_CERTIFICATES])


def _read_der(data: bytes, password: str, source: str, *, key_stores: bool) -> Material | None:
    data = _without_space(data)
    if data[:1] != bytes([_SEQUENCE]):
        return None
    try:
        if several := _pkcs7(data, source):
            return Material(certificates=several)
        if key_stores and (store := _pkcs12(data, password, source)):
            return store
        single = _tried(certificate_of_der, data)
        return Material(certificates=(link_of(single, source=source),)) if single is not None else None
    except Unreadable:
        raise
    except Invalid as odd:
        raise Unreadable(odd.happened, to=source, found=True) from odd


def _without_space(data: bytes) -> bytes:
    """What is between white space; a last byte that looks like it but is the value's own stays."""
    data = data.lstrip()
    try:
        _, stop = der.body(data)
    except ValueError:
        return data  # cut short, or no DER at all: refused for that
    return data[:stop] + data[stop:].rstrip()


def _pkcs12(data: bytes, password: str, source: str) -> Material | None:
    from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

    from groundplane.pki.keystore.cost import refuse_costly

    refuse_costly(data, source=source)
    store = _tried(load_pkcs12, data, password.encode())
    if store is None and not password:
        store = _tried(load_pkcs12, data, None)  # a password of no letters and none at all are two things there
    if store is None:
        return None
    entries = [*([store.cert] if store.cert else []), *store.additional_certs]
    certificates = tuple(link_of(entry.certificate, source=source) for entry in entries)
    key = store.key if isinstance(store.key, PrivateKey) else None
    return Material(certificates=certificates, key=key) if certificates else None


def _tried(read: Callable[..., Any], *arguments: object) -> Any:
    """What `read` makes of it, or None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about BER where DER should be: old files have it
            return read(*arguments)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        return None


def _check_size(size: int, source: str) -> None:
    if size > MOST_BYTES:
        raise Exhausted(f"{size} bytes are too many for certificates", to=source, hint=f"at most {MOST_BYTES}")
