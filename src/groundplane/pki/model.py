"""The words of the certificate authority: keys, usages, profiles, requests, and the plan of one certificate.

Nothing here reads, signs or knows the time, and nothing imports `cryptography`: a cluster file can be checked without
it. Durations are `timedelta`, times aware UTC `datetime`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from functools import lru_cache

from groundplane.errors import Invalid
from groundplane.pki.name import OID, AlternativeNames, Attribute, Subject
from groundplane.pki.namerules import NameConstraints, NameRules

RSA_SMALLEST = 2048  # CFSSL's own bounds; NIST SP 800-131A has refused less since 2014
RSA_LARGEST = 8192
CURVE_SIZES = (256, 384, 521)
ML_DSA_SIZES = frozenset({44, 65, 87})


class KeyAlgorithm(Enum):
    """CFSSL's names of the algorithms."""

    RSA = "rsa"
    ECDSA = "ecdsa"
    ED25519 = "ed25519"
    ML_DSA = "ml-dsa"  # FIPS 204: no quantum computer forges it; CFSSL cannot make these


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySpec:
    """A kind of key. Raises Invalid for a weak or unknown one.

    `size` is bits of the modulus or the curve; of ML-DSA, which of the three parameter sets.
    """

    algorithm: KeyAlgorithm
    size: int

    def __post_init__(self) -> None:
        match self.algorithm:
            case KeyAlgorithm.RSA if self.size < RSA_SMALLEST:
                raise Invalid(f"an RSA key of {self.size} bits is too weak", to="key", hint='use "size": 2048 or more')
            case KeyAlgorithm.RSA if self.size > RSA_LARGEST:
                happened = f"an RSA key of {self.size} bits is too large"
                raise Invalid(happened, to="key", hint=f'use "size": {RSA_LARGEST} or less')
            case KeyAlgorithm.ECDSA if self.size not in CURVE_SIZES:
                raise Invalid(f"there is no curve of {self.size} bits", to="key", hint="use 256, 384 or 521")
            case KeyAlgorithm.ML_DSA if self.size not in ML_DSA_SIZES:
                raise Invalid(f"there is no ML-DSA-{self.size}", to="key", hint="use 44, 65 or 87")
            case _:
                pass

    def __str__(self) -> str:
        return self.algorithm.value if self.algorithm is KeyAlgorithm.ED25519 else f"{self.algorithm.value}-{self.size}"


P256 = KeySpec(algorithm=KeyAlgorithm.ECDSA, size=256)


class KeyUsage(Enum):
    """The bits of the KeyUsage extension (RFC 5280, 4.2.1.3)."""

    DIGITAL_SIGNATURE = "digital_signature"
    CONTENT_COMMITMENT = "content_commitment"
    KEY_ENCIPHERMENT = "key_encipherment"
    DATA_ENCIPHERMENT = "data_encipherment"
    KEY_AGREEMENT = "key_agreement"
    KEY_CERT_SIGN = "key_cert_sign"
    CRL_SIGN = "crl_sign"
    ENCIPHER_ONLY = "encipher_only"
    DECIPHER_ONLY = "decipher_only"


# CFSSL's words for usages: a bit of KeyUsage, or the identifier of an extended key usage.
USAGES: Mapping[str, KeyUsage | OID] = {
    "signing": KeyUsage.DIGITAL_SIGNATURE,
    "digital signature": KeyUsage.DIGITAL_SIGNATURE,
    "content commitment": KeyUsage.CONTENT_COMMITMENT,
    "key encipherment": KeyUsage.KEY_ENCIPHERMENT,
    "key agreement": KeyUsage.KEY_AGREEMENT,
    "data encipherment": KeyUsage.DATA_ENCIPHERMENT,
    "cert sign": KeyUsage.KEY_CERT_SIGN,
    "crl sign": KeyUsage.CRL_SIGN,
    "encipher only": KeyUsage.ENCIPHER_ONLY,
    "decipher only": KeyUsage.DECIPHER_ONLY,
    "any": OID("2.5.29.37.0"),
    "server auth": OID("1.3.6.1.5.5.7.3.1"),
    "client auth": OID("1.3.6.1.5.5.7.3.2"),
    "code signing": OID("1.3.6.1.5.5.7.3.3"),
    "email protection": OID("1.3.6.1.5.5.7.3.4"),
    "s/mime": OID("1.3.6.1.5.5.7.3.4"),
    "ipsec end system": OID("1.3.6.1.5.5.7.3.5"),
    "ipsec tunnel": OID("1.3.6.1.5.5.7.3.6"),
    "ipsec user": OID("1.3.6.1.5.5.7.3.7"),
    "timestamping": OID("1.3.6.1.5.5.7.3.8"),
    "ocsp signing": OID("1.3.6.1.5.5.7.3.9"),
    "microsoft sgc": OID("1.3.6.1.4.1.311.10.3.3"),
    "netscape sgc": OID("2.16.840.1.113730.4.1"),
}


def usage_of(word: str) -> KeyUsage | OID:
    """What a word of a profile's `usages` stands for; a dotted identifier stands for itself."""
    return USAGES[word] if word in USAGES else OID(word)


@dataclass(frozen=True, slots=True, kw_only=True)
class RawExtension:
    """An extension by its identifier and its DER, for kinds that have no words of their own here."""

    oid: OID
    critical: bool = False
    value: bytes = b""


# Of a server that may delegate its TLS sessions (RFC 9345, under CFSSL's identifier, with a NULL in it).
DELEGATION = RawExtension(oid=OID("1.3.6.1.4.1.44363.44"), critical=False, value=b"\x05\x00")
# Key identifiers, usages, names, constraints, policies and addresses: with these a request could make itself a CA, or
# another's name. (CFSSL blocked only the first until 2026.)
NEVER_COPIED = frozenset(OID(f"2.5.29.{number}") for number in (14, 15, 17, 18, 19, 30, 31, 32, 35, 37)) | {
    OID("1.3.6.1.5.5.7.1.1")
}


# Poison and timestamps of certificate transparency (RFC 6962, 3.1 and 3.3): they come after everything else.
POISON_OID, TIMESTAMPS_OID = OID("1.3.6.1.4.1.11129.2.4.3"), OID("1.3.6.1.4.1.11129.2.4.2")
LAST = frozenset({POISON_OID, TIMESTAMPS_OID})


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificatePolicy:
    """A policy that a certificate is issued under. `qualifiers`: a kind (`id-qt-cps` or `id-qt-unotice`), a text."""

    oid: OID
    qualifiers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateName:
    """An element of a request's `names`. `oids` are further attributes; `serial_number` has no effect, as in CFSSL."""

    country: str = ""
    province: str = ""
    locality: str = ""
    organization: str = ""
    organizational_unit: str = ""
    email: str = ""
    serial_number: str = ""
    oids: tuple[Attribute, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CASection:
    """A request's `ca`: what the root is to be. `path_length` None: any number of CAs below it."""

    expiry: timedelta | None = None
    backdate: timedelta | None = None
    path_length: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRequest:
    """CFSSL's CSR JSON. `hosts` are as written; `extensions` are asked for as bytes."""

    common_name: str = ""
    hosts: tuple[str, ...] = ()
    key: KeySpec = P256
    names: tuple[CertificateName, ...] = ()
    serial_number: str = ""
    ca: CASection | None = None
    crl_url: str = ""
    extensions: tuple[RawExtension, ...] = ()
    source: str = "request"


@dataclass(frozen=True, slots=True, kw_only=True)
class CAConstraint:
    """A profile's `ca_constraint`."""

    is_ca: bool = False
    path_length: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Linting:
    """Which rules a certificate must keep before it is made (see `lint`).

    `level` is zlint's number, 1 to 7, of the worst that may be said of it. Rules and sources in `ignored` and
    `ignored_sources` are not asked.
    """

    level: int
    ignored: frozenset[str] = frozenset()
    ignored_sources: frozenset[str] = frozenset()


@lru_cache(maxsize=64)
def _key_usages(words: tuple[str, ...]) -> frozenset[KeyUsage]:
    return frozenset(bit for word in words if isinstance(bit := usage_of(word), KeyUsage))


@lru_cache(maxsize=64)
def extended_usages(words: tuple[str, ...]) -> tuple[OID, ...]:
    """The extended ones of CFSSL's words, in their order, and as often as they are said."""
    return tuple(usage for word in words if not isinstance(usage := usage_of(word), KeyUsage))


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """Another CFSSL: its addresses as after -remote, and its token's key as it was written (empty: no token)."""

    address: str
    auth_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How certificates of one kind are signed. `at` is where it stands, for errors.

    `usages` are CFSSL's words, or dotted identifiers of extended usages that it has no word for.

    `not_before` and `not_after` are absolute overrides; `remote`: not signed here at all, but at that server.
    For requests that come as PEM: whether their extensions are copied, which others may be added, which of their
    fields count (`request_fields`, CFSSL's CSRWhitelist; None: all), and whether they bring their serial number.
    `ct_logs`: URLs of certificate transparency logs that hear of a certificate before it is made.
    groundplane's own: which names it allows, and the name constraints of a CA.
    """

    name: str
    expiry: timedelta | None
    usages: tuple[str, ...] = ()
    backdate: timedelta | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    ca_constraint: CAConstraint = field(default_factory=CAConstraint)
    issuer_urls: tuple[str, ...] = ()
    ocsp_url: str = ""
    crl_url: str = ""
    ocsp_no_check: bool = False
    name_whitelist: str = ""
    policies: tuple[CertificatePolicy, ...] = ()
    copy_extensions: bool = False
    allowed_extensions: tuple[OID, ...] = ()
    request_fields: frozenset[str] | None = None
    client_serial: bool = False
    name_rules: NameRules | None = None
    name_constraints: NameConstraints | None = None
    ct_logs: tuple[str, ...] = ()
    lint: Linting | None = None
    remote: Remote | None = None
    at: str = "profile"

    @property
    def key_usages(self) -> frozenset[KeyUsage]:
        """The bits that its usages set."""
        return _key_usages(self.usages)

    @property
    def extended_usages(self) -> tuple[OID, ...]:
        """The extended usages, in the profile's order, each once."""
        return tuple(dict.fromkeys(extended_usages(self.usages)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningPolicy:
    """CFSSL's ca-config.json: a default profile and named ones."""

    default: Profile
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    source: str = "policy"

    def profile(self, name: str) -> Profile:
        """The profile of that name, or the default for an empty one. Raises Invalid for an unknown one.

        (CFSSL takes the default in silence, and issues a certificate with the wrong usages.)
        """
        if not name:
            return self.default
        if name not in self.profiles:
            from difflib import get_close_matches

            near = get_close_matches(name, self.profiles, n=1)
            known = ", ".join(sorted(self.profiles)) or "none but the default"
            hint = f"did you mean {near[0]!r}?" if near else f"known here: {known}"
            raise Invalid(f"there is no profile {name!r}", to=f"{self.source}: signing.profiles", hint=hint)
        return self.profiles[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateContent:
    """Everything a certificate will say, but its key, its serial number and its issuer.

    `extensions` come last, and replace any other of the same identifier. `pinned_start`, `pinned_end`: the profile
    fixes that date, so it does not move with the time of issuing.
    """

    subject: Subject
    names: AlternativeNames
    key_usages: frozenset[KeyUsage]
    extended_usages: tuple[OID, ...]
    not_before: datetime
    not_after: datetime
    is_ca: bool = False
    path_length: int | None = None
    issuer_urls: tuple[str, ...] = ()
    ocsp_url: str = ""
    crl_url: str = ""
    ocsp_no_check: bool = False
    policies: tuple[CertificatePolicy, ...] = ()
    name_constraints: NameConstraints | None = None
    extensions: tuple[RawExtension, ...] = ()
    pinned_start: bool = False
    pinned_end: bool = False

    @property
    def lifetime(self) -> timedelta:
        """From not_before to not_after."""
        return self.not_after - self.not_before


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificatePlan(CertificateContent):
    """A certificate to be made together with its key."""

    key: KeySpec


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenCertificate:
    """A certificate as it was read. `key` is None for a kind of key that CFSSL cannot make."""

    subject: Subject
    issuer: Subject
    serial: int
    not_before: datetime
    not_after: datetime
    names: AlternativeNames
    key: KeySpec | None
    key_usages: frozenset[KeyUsage]
    extended_usages: tuple[OID, ...]
    is_ca: bool
    path_length: int | None
    issuer_urls: tuple[str, ...] = ()
    ocsp_url: str = ""
    crl_url: str = ""
    ocsp_no_check: bool = False
    policies: tuple[CertificatePolicy, ...] = ()

    @property
    def lifetime(self) -> timedelta:
        """From not_before to not_after."""
        return self.not_after - self.not_before


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRequest:
    """A PEM request (PKCS#10) as it was read. `wants_ca` with `path_length`: its BasicConstraints."""

    subject: Subject
    names: AlternativeNames = field(default_factory=AlternativeNames)
    key: KeySpec | None = None
    extensions: tuple[RawExtension, ...] = ()
    wants_ca: bool = False
    path_length: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPair:
    """What stands where a certificate and its key should be.

    `troubles` are sentences about what could not be read. `signed_by_issuer` and `key_matches` are facts worked out by
    the reader, and mean nothing while there are troubles.
    """

    certificate: SeenCertificate | None = None
    has_certificate: bool = False
    has_key: bool = False
    key_matches: bool = False
    signed_by_issuer: bool = False
    troubles: tuple[str, ...] = ()
