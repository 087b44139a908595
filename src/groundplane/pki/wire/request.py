"""CFSSL's CSR JSON: a subject, hosts, a kind of key, and for a root its `ca` section.

The key follows CFSSL's merge over its default of ecdsa-256, so `{"algo": "rsa"}` alone would be RSA of 256 bits; the
refusal says so. Hosts are checked here (see `hosts`), so that a bad one is found before anything is made; so are, when
strict, values that are longer than a certificate's may be.
"""

import base64
import re

from groundplane.errors import Invalid
from groundplane.pki.fitness import value_trouble
from groundplane.pki.hosts import classify
from groundplane.pki.model import (
    DELEGATION,
    P256,
    CASection,
    CertificateName,
    CertificateRequest,
    KeyAlgorithm,
    KeySpec,
    RawExtension,
)
from groundplane.pki.name import (
    COMMON_NAME,
    COUNTRY,
    EMAIL_ADDRESS,
    LOCALITY,
    OID,
    ORGANIZATION,
    ORGANIZATIONAL_UNIT,
    PROVINCE,
    SERIAL_NUMBER,
    Attribute,
)
from groundplane.pki.wire.document import parse_document
from groundplane.pki.wire.duration import parse_duration
from groundplane.pki.wire.json_tree import Node, nearest
from groundplane.pki.wire.policy import path_length

_FIELDS = (
    *("CN", "names", "hosts", "key", "ca", "serialnumber", "crl_url"),
    *("delegation_enabled", "extensions"),
)
_NAME = {
    "C": COUNTRY,
    "ST": PROVINCE,
    "L": LOCALITY,
    "O": ORGANIZATION,
    "OU": ORGANIZATIONAL_UNIT,
    "E": EMAIL_ADDRESS,
    "SerialNumber": SERIAL_NUMBER,
}
_DOTTED = re.compile(r"(?:[01]\.[1-3]?[0-9]|2\.(?:0|[1-9][0-9]{0,8}))(?:\.(?:0|[1-9][0-9]{0,17}))+")
_SHORT_DOTTED = 128


def parse_request(data: bytes, *, source: str, strict: bool = True) -> CertificateRequest:
    """Read a CSR JSON; `source` is its name in errors. Raises Invalid."""
    return request_of(parse_document(data, source=source, strict=strict))


def request_of(top: Node) -> CertificateRequest:
    """The same as part of another document. Raises Invalid."""
    fields = top.fields(_FIELDS)
    delegated = fields["delegation_enabled"].boolean() if "delegation_enabled" in fields else False
    further = fields["extensions"].elements() if "extensions" in fields else []
    return CertificateRequest(
        common_name=_value(fields["CN"], COMMON_NAME) if "CN" in fields else "",
        hosts=_hosts(fields["hosts"]) if "hosts" in fields else (),
        key=_key(fields["key"]) if "key" in fields else P256,
        names=tuple(_name(element) for element in fields["names"].elements()) if "names" in fields else (),
        serial_number=_value(fields["serialnumber"], SERIAL_NUMBER) if "serialnumber" in fields else "",
        ca=_ca(fields["ca"]) if "ca" in fields else None,
        crl_url=fields["crl_url"].text() if "crl_url" in fields else "",
        extensions=(*((DELEGATION,) if delegated else ()), *map(_extension, further)),
        source=top.at,
    )


def _value(node: Node, oid: OID) -> str:
    text = node.text()
    if "\0" in text:
        raise node.refuse("a name cannot hold a NUL character", hint="remove it")
    if node.strict and (trouble := value_trouble(oid, text)):
        raise node.refuse(trouble, hint="write its two letters" if oid == COUNTRY else "shorten it")
    return text


def _hosts(node: Node) -> tuple[str, ...]:
    found: list[str] = []
    for element in node.elements():
        host = element.text()
        if not host and node.strict:
            raise element.refuse("an empty host is no name", hint='remove it, or write "hosts": []')
        classify(host, at=element.at)
        found.append(host)
    return tuple(found)


def _key(node: Node) -> KeySpec:
    fields = node.fields(("algo", "size"))
    word = fields["algo"].text() if "algo" in fields else "ecdsa"
    known = {algorithm.value: algorithm for algorithm in KeyAlgorithm}
    if word not in known:
        raise fields["algo"].refuse(f"unknown algorithm {word!r}", hint=nearest(word, known))
    if known[word] is KeyAlgorithm.ED25519:
        return KeySpec(algorithm=KeyAlgorithm.ED25519, size=256)
    if known[word] is KeyAlgorithm.ML_DSA and "size" not in fields:
        return KeySpec(algorithm=KeyAlgorithm.ML_DSA, size=65)
    if word == "rsa" and "size" not in fields:
        raise node.refuse("an RSA key needs a size (CFSSL takes 256 bits, and refuses it)", hint='add "size": 2048')
    size = fields["size"].integer() if "size" in fields else P256.size
    try:
        return KeySpec(algorithm=known[word], size=size)
    except Invalid as bad:
        raise fields.get("size", node).refuse(bad.happened, hint=bad.hint) from bad


def _name(node: Node) -> CertificateName:
    fields = node.fields((*_NAME, "OID"))
    texts = {key: _value(fields[key], oid) if key in fields else "" for key, oid in _NAME.items()}
    return CertificateName(
        country=texts["C"],
        province=texts["ST"],
        locality=texts["L"],
        organization=texts["O"],
        organizational_unit=texts["OU"],
        email=texts["E"],
        serial_number=texts["SerialNumber"],
        oids=tuple(_oid(name, value) for name, value in fields["OID"].items()) if "OID" in fields else (),
    )


def _oid(name: str, node: Node) -> Attribute:
    if len(name) > _SHORT_DOTTED or not _DOTTED.fullmatch(name):
        raise node.refuse("this is no object identifier", hint="write dotted numbers, such as 1.3.6.1.4.1.311.60.2.1.3")
    return Attribute(oid=OID(name), value=_value(node, OID(name)))


def _extension(node: Node) -> RawExtension:
    """An identifier in numbers, whether it is critical, and its DER in base64."""
    fields = node.fields(("Id", "Critical", "Value"))
    for name in ("Id", "Value"):
        if name not in fields:
            raise node.refuse(f"an extension needs its {name}", hint='write {"Id": [1, 2, 3], "Value": "base64"}')
    numbers = [element.integer() for element in fields["Id"].elements()]
    dotted = ".".join(map(str, numbers))
    if len(dotted) > _SHORT_DOTTED or not _DOTTED.fullmatch(dotted):
        raise fields["Id"].refuse("this is no object identifier", hint="write its numbers, such as [1, 3, 6, 1]")
    try:
        value = base64.b64decode(fields["Value"].text(), validate=True)
    except ValueError as bad:
        raise fields["Value"].refuse("this is not base64", hint="encode the extension's DER") from bad
    critical = fields["Critical"].boolean() if "Critical" in fields else False
    return RawExtension(oid=OID(dotted), critical=critical, value=value)


def _ca(node: Node) -> CASection:
    fields = node.fields(("expiry", "backdate", "pathlen", "pathlenzero"))
    expiry, backdate = (
        parse_duration(fields[key].text(), at=fields[key].at) if key in fields and fields[key].text() else None
        for key in ("expiry", "backdate")
    )
    for key, span in (("expiry", expiry), ("backdate", backdate)):
        if span is not None and span.total_seconds() < (1 if key == "expiry" else 0):
            raise fields[key].refuse("this is less than nothing", hint="write one such as 43800h")
    return CASection(expiry=expiry, backdate=backdate, path_length=path_length(fields, "pathlen", "pathlenzero"))
