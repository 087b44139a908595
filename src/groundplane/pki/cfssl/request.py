"""The CSR JSON by CFSSL's rules: read what Go reads; what is wrong with it is for the step that trips on it."""

from dataclasses import dataclass
from typing import cast

from groundplane.pki.cfssl.errors import Plain
from groundplane.pki.cfssl.gobytes import octets
from groundplane.pki.cfssl.godecode import BOOL, INT, STRING, Fields, Mapped, Sequence, Struct, decode_fields
from groundplane.pki.model import DELEGATION, CertificateName, CertificateRequest, RawExtension
from groundplane.pki.name import (
    COUNTRY,
    LOCALITY,
    OID,
    ORGANIZATION,
    ORGANIZATIONAL_UNIT,
    PROVINCE,
    Attribute,
    Subject,
)
from groundplane.pki.policy import subject_of
from groundplane.pki.signing import subject_override

_NAME_FIELDS = ("C", "ST", "L", "O", "OU", "E", "SerialNumber")
_DEFAULT_ALGORITHM, _DEFAULT_SIZE = "ecdsa", 256


_NAME = Struct("csr.Name", {**dict.fromkeys(_NAME_FIELDS, STRING), "OID": Mapped(STRING)})
REQUEST = Struct(
    "csr.CertificateRequest",
    {
        "CN": STRING,
        "names": Sequence(_NAME),
        "hosts": Sequence(STRING),
        "key": Struct("csr.KeyRequest", {"algo": STRING, "size": INT}),
        "ca": Struct("csr.CAConfig", {"pathlen": INT, "pathlenzero": BOOL, "expiry": STRING, "backdate": STRING}),
        "serialnumber": STRING,
        "delegation_enabled": BOOL,
        "extensions": Sequence(
            Struct(
                "pkix.Extension", {"Id": Sequence(INT), "Critical": BOOL, "Value": octets("Extension.extensions.Value")}
            )
        ),
        "crl_url": STRING,
    },
)
SUBJECT = Struct("signer.Subject", {"CN": STRING, "names": Sequence(_NAME), "SerialNumber": STRING})


@dataclass(frozen=True, slots=True, kw_only=True)
class CAConfig:
    """The `ca` section, as written."""

    path_length: int = 0
    path_length_zero: bool = False
    expiry: str = ""
    backdate: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A CSR JSON. `words` has its subject and hosts; the key's kind may be one that cannot be made."""

    words: CertificateRequest
    algorithm: str = _DEFAULT_ALGORITHM
    size: int = _DEFAULT_SIZE
    ca: CAConfig | None = None
    extensions: tuple[RawExtension, ...] = ()
    crl_url: str = ""

    @property
    def subject(self) -> Subject:
        """In CFSSL's order. Raises Plain for an object identifier that is none."""
        for name in self.words.names:
            for attribute in name.oids:
                for part in attribute.oid.split("."):
                    if not part.isascii() or not part.isdigit():
                        raise Plain(f"invalid OID part {part}")
        return subject_of(self.words)


def read_request(data: bytes) -> Request:
    """Read a CSR JSON. Raises Plain."""
    return request_of(decode_fields(data, REQUEST))


def request_of(fields: Fields) -> Request:
    """A CSR JSON from its fields, which may be part of another document (`REQUEST` is their shape)."""
    key, ca = fields.get("key"), fields.get("ca")
    key = key if isinstance(key, dict) else {}
    words = CertificateRequest(
        common_name=_text(fields, "CN"),
        names=tuple(map(_name, _list(fields, "names"))),
        hosts=tuple(str(host or "") for host in _list(fields, "hosts")),
        serial_number=_text(fields, "serialnumber"),
    )
    return Request(
        words=words,
        algorithm=cast("str", key.get("algo", _DEFAULT_ALGORITHM)),
        size=cast("int", key.get("size", _DEFAULT_SIZE)),
        ca=_ca(ca) if isinstance(ca, dict) else None,
        extensions=(
            *((DELEGATION,) if fields.get("delegation_enabled") else ()),
            *map(_extension, _list(fields, "extensions")),
        ),
        crl_url=_text(fields, "crl_url"),
    )


def read_subject(data: bytes) -> Subject:
    """Read the subject that may be given to `sign` beside a request. Raises Plain."""
    return subject_from(decode_fields(data, SUBJECT))


def subject_from(fields: Fields) -> Subject:
    """The same from its fields (`SUBJECT` is their shape)."""
    names = [_name(name) for name in _list(fields, "names")]
    parts = (
        (COUNTRY, [name.country for name in names]),
        (PROVINCE, [name.province for name in names]),
        (LOCALITY, [name.locality for name in names]),
        (ORGANIZATION, [name.organization for name in names]),
        (ORGANIZATIONAL_UNIT, [name.organizational_unit for name in names]),
    )
    given = [(oid, value) for oid, values in parts for value in values]
    return subject_override(_text(fields, "CN"), _text(fields, "SerialNumber"), given)


def _ca(fields: Fields) -> CAConfig:
    return CAConfig(
        path_length=cast("int", fields.get("pathlen", 0)),
        path_length_zero=fields.get("pathlenzero") is True,
        expiry=_text(fields, "expiry"),
        backdate=_text(fields, "backdate"),
    )


def _name(value: object) -> CertificateName:
    fields = value if isinstance(value, dict) else {}
    country, province, locality, organization, unit, email, serial = (_text(fields, name) for name in _NAME_FIELDS)
    oids = fields.get("OID")
    return CertificateName(
        country=country,
        province=province,
        locality=locality,
        organization=organization,
        organizational_unit=unit,
        email=email,
        serial_number=serial,
        oids=tuple(Attribute(oid=OID(oid), value=text or "") for oid, text in oids.items())
        if isinstance(oids, dict)
        else (),
    )


def _extension(value: object) -> RawExtension:
    fields = value if isinstance(value, dict) else {}
    oid = OID(".".join(map(str, _list(fields, "Id"))))
    return RawExtension(oid=oid, critical=fields.get("Critical") is True, value=cast("bytes", fields.get("Value", b"")))


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _list(fields: Fields, name: str) -> list[object]:
    value = fields.get(name)
    return value if isinstance(value, list) else []
