"""Distinguished names as they stand in DER (X.501): every kind of string that is met, in the order it is met."""

import re
from collections.abc import Iterator
from functools import lru_cache

from cryptography import x509

from groundplane.pki import der
from groundplane.pki.name import OID, Attribute, Subject

_NUMERIC, _T61, _IA5, _VISIBLE, _UNIVERSAL, _BMP = 0x12, 0x14, 0x16, 0x1A, 0x1C, 0x1E
_ENCODINGS = {
    der.UTF8: "utf-8",
    der.PRINTABLE: "ascii",
    _NUMERIC: "ascii",
    _IA5: "ascii",
    _VISIBLE: "ascii",
    _UNIVERSAL: "utf-32-be",
    _BMP: "utf-16-be",
}
_PRINTABLE = re.compile(rb"[A-Za-z0-9 '()+,./:=?*&-]*")  # with the two that every CA uses and X.680 lacks
_NUL = "\0"
_VERSION = 0xA0
# The usual form, which is read at once: attributes of X.520 one by one, in one of two kinds of string.
_LONGEST_PLAIN = 100  # octets, so that no length takes more than one
_RDN = re.compile(rb"\x31(.)\x30(.)\x06\x03\x55\x04([\x03\x05-\x0b\x11])([\x0c\x13])(.)", re.DOTALL)
_PLAIN_OIDS = {number: OID(f"2.5.4.{number}") for number in range(18)}


def names_in(certificate: x509.Certificate) -> tuple[bytes, bytes]:
    """The issuer and the subject of a certificate, as they stand. Raises ValueError."""
    version, *fields = der.parts(certificate.tbs_certificate_bytes)
    issuer, _, subject = fields[2:5] if version[0] == _VERSION else fields[1:4]
    return issuer, subject


def attributes_of(name: bytes) -> tuple[tuple[Attribute, ...], ...]:
    """The attributes of each RDN, in order, also one that stands twice. Raises ValueError."""
    return tuple(tuple(_attributes(rdn)) for rdn in der.members(name, der.SEQUENCE))


def subject_of(name: bytes) -> Subject:
    """The same as a subject. Raises ValueError."""
    return plain_subject(name) or Subject(attributes_of(name))


def one_by_one(name: bytes) -> Subject:
    """The same with an RDN for each attribute, which keeps their order. Raises ValueError."""
    return plain_subject(name) or Subject(tuple((each,) for rdn in attributes_of(name) for each in rdn))


def plain_subject(name: bytes) -> Subject | None:
    """The same of a name of the usual form; None where it is another."""
    place, end = der.body(name)
    rdns = []
    while place < end:
        found = _RDN.match(name, place)
        if found is None:
            return None
        whole, inner, oid, tag, size = found.groups()
        place = found.end() + size[0]
        value = name[found.end() : place]
        if (whole[0], inner[0]) != (size[0] + 9, size[0] + 7) or not 0 < size[0] <= _LONGEST_PLAIN or place > end:
            return None
        if not (_PRINTABLE.fullmatch(value) if tag[0] == der.PRINTABLE else value.isascii()):
            return None
        rdns.append((Attribute(oid=_PLAIN_OIDS[oid[0]], value=value.decode()),))
    return Subject(tuple(rdns))


def _attributes(rdn: bytes) -> Iterator[Attribute]:
    for each in der.members(rdn, der.SET):
        kind, value, *more = der.members(each, der.SEQUENCE)
        if more:
            raise ValueError("an attribute of a name is more than a type and a value")
        yield Attribute(oid=_oid(kind), value=_text(value))


@lru_cache(maxsize=256)
def _oid(value: bytes) -> OID:
    return OID(der.dotted_of(value))


def _text(value: bytes) -> str:
    tag, content = value[0], der.content(value)
    if tag == der.PRINTABLE and not _PRINTABLE.fullmatch(content):
        raise ValueError("a printable string has other characters in it")
    if (encoding := _ENCODINGS.get(tag)) is not None:
        text = content.decode(encoding)
        return text.removesuffix(_NUL) if tag == _BMP else text
    if tag == _T61:  # whatever its standard says: what is written in it is this or that
        try:
            return content.decode()
        except UnicodeDecodeError:
            return content.decode("latin-1")
    return content.hex()
