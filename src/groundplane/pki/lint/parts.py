"""What is inside a certificate's names, keys and extensions: bytes in, values out; Malformed where Go would give up."""

from dataclasses import dataclass, field
from enum import IntFlag

from groundplane.pki.lint import oids, read
from groundplane.pki.lint.read import Malformed, Value

_LARGEST_EXPONENT = 2**63
_MOST_OCTETS = 4096  # of a key, so that arithmetic ends
_CURVES = {
    "1.3.132.0.33": "P-224",
    "1.2.840.10045.3.1.7": "P-256",
    "1.3.132.0.34": "P-384",
    "1.3.132.0.35": "P-521",
}
_ADDRESS_SIZES = (4, 16)
_EMAIL, _DNS, _DIRECTORY, _EDI, _URI, _IP, _REGISTERED = 1, 2, 4, 5, 6, 7, 8


class KeyUsage(IntFlag):
    """Bits of the extension, the first of them first."""

    DIGITAL_SIGNATURE = 1
    CONTENT_COMMITMENT = 2
    KEY_ENCIPHERMENT = 4
    DATA_ENCIPHERMENT = 8
    KEY_AGREEMENT = 16
    CERT_SIGN = 32
    CRL_SIGN = 64
    ENCIPHER_ONLY = 128
    DECIPHER_ONLY = 256


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a name. `text` is None where its value is no string."""

    oid: str
    value: Value
    text: str | None


@dataclass(frozen=True, slots=True)
class Name:
    """A distinguished name: its RDNs, each with its attributes."""

    rdns: tuple[tuple[Attribute, ...], ...]

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """All of them, in order."""
        return tuple(attribute for rdn in self.rdns for attribute in rdn)

    @property
    def title(self) -> str:
        """To call it by: its last common name, or its last string."""
        texts = [it.text for it in self.attributes if it.text]
        return self.text(oids.COMMON_NAME) or (texts[-1] if texts else "")

    def has(self, oid: str) -> bool:
        """Whether there is one of that kind."""
        return any(attribute.oid == oid for attribute in self.attributes)

    def texts(self, oid: str) -> tuple[str, ...]:
        """The strings of that kind."""
        return tuple(it.text for it in self.attributes if it.oid == oid and it.text is not None)

    def text(self, oid: str) -> str:
        """The last string of that kind, or nothing."""
        return (["", *self.texts(oid)])[-1]


def name_of(value: Value) -> Name:
    """A Name. Raises Malformed."""
    if value.tag != read.SEQUENCE:
        raise Malformed("this is no name")
    return Name(tuple(tuple(map(_attribute, rdn.members)) for rdn in value.members))


def _attribute(value: Value) -> Attribute:
    kind, content = value.members[:2] if len(value.members) > 1 else (None, None)
    if kind is None or content is None or kind.tag != read.OBJECT:
        raise Malformed("this is no attribute")
    return Attribute(read.dotted(kind.content), content, read.text(content))


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A public key: its AlgorithmIdentifier; then what RSA, a curve (also Ed25519), or DSA (p, q, g, y) has."""

    oid: str
    algorithm: bytes
    modulus: int = 0
    exponent: int = 0
    curve: str = ""
    point: bytes = b""
    dsa: tuple[int, int, int, int] | None = None


def key_of(value: Value) -> Key:
    """A SubjectPublicKeyInfo. Raises Malformed."""
    try:
        algorithm, bits = value.members
        oid, *parameters = algorithm.members
        kind, data = read.dotted(oid.content), bits.content[1:]
    except (ValueError, IndexError) as bad:
        raise Malformed("this is no public key") from bad
    if kind == oids.RSA:
        numbers = [read.integer(number.content) for number in read.sequence(data)]
        if len(numbers) != 2 or min(numbers) <= 0 or numbers[1] >= _LARGEST_EXPONENT or len(data) > _MOST_OCTETS:  # noqa: PLR2004 - n and e
            raise Malformed("these are no numbers of an RSA key")
        return Key(oid=kind, algorithm=algorithm.whole, modulus=numbers[0], exponent=numbers[1])
    if kind == oids.EC:
        curve = read.dotted(parameters[0].content) if parameters and parameters[0].tag == read.OBJECT else ""
        if curve not in _CURVES:
            raise Malformed("this is no curve that has a name here")
        return Key(oid=kind, algorithm=algorithm.whole, curve=_CURVES[curve], point=data)
    if kind == oids.DSA:
        shared = [read.integer(number.content) for number in (parameters[0].members if parameters else ())]
        y = read.integer(read.first(data, read.INTEGER).content)
        if len(shared) != 3 or min(*shared, y) <= 0 or len(value.content) > _MOST_OCTETS:  # noqa: PLR2004 - p, q and g
            raise Malformed("these are no numbers of a DSA key")
        return Key(oid=kind, algorithm=algorithm.whole, dsa=(shared[0], shared[1], shared[2], y))
    return Key(oid=kind, algorithm=algorithm.whole, point=data)


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension as it stands."""

    oid: str
    critical: bool
    value: bytes


def extension_of(value: Value) -> Extension:
    """Raises Malformed."""
    members = value.members
    critical = len(members) > 2 and members[1].tag == read.BOOLEAN and members[1].content != b"\0"  # noqa: PLR2004
    if len(members) < 2 or members[0].tag != read.OBJECT or members[-1].tag != read.OCTETS:  # noqa: PLR2004
        raise Malformed("this is no extension")
    return Extension(read.dotted(members[0].content), critical, members[-1].content)


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneralNames:
    """Names of a subject or an issuer by their kinds; of rare ones only that they are there."""

    dns: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    ips: tuple[bytes, ...] = ()
    kinds: frozenset[int] = frozenset()


def names_of(value: bytes) -> GeneralNames:
    """GeneralNames. Raises Malformed."""
    members = read.sequence(value)
    if any(it.number == _IP and len(it.content) not in _ADDRESS_SIZES for it in members):
        raise Malformed("an address has too many octets, or too few")

    def texts(kind: int) -> tuple[str, ...]:
        return tuple(it.content.decode("utf-8", "surrogateescape") for it in members if it.number == kind)

    return GeneralNames(
        dns=texts(_DNS),
        emails=texts(_EMAIL),
        uris=texts(_URI),
        ips=tuple(it.content for it in members if it.number == _IP),
        kinds=frozenset(it.number for it in members),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One policy: its qualifiers' kinds, the texts of its notices, and whether one of them refers to others."""

    oid: str
    qualifiers: tuple[str, ...] = ()
    texts: tuple[Value, ...] = ()
    refers: bool = False


def policies_of(value: bytes) -> tuple[Policy, ...]:
    """CertificatePolicies. Raises Malformed."""
    return tuple(map(_policy, read.sequence(value)))


def _policy(value: Value) -> Policy:
    members = value.members
    if not members or members[0].tag != read.OBJECT:
        raise Malformed("this is no policy")
    kinds, texts, refers = [], [], False
    for qualifier in members[1].members if len(members) > 1 else ():
        kind, *rest = qualifier.members
        kinds.append(read.dotted(kind.content))
        for part in rest[0].members if rest and kinds[-1] == oids.USER_NOTICE else ():
            if part.tag == read.SEQUENCE:
                refers = refers or bool(part.content)
            elif part.content:
                texts.append(part)
    return Policy(oid=read.dotted(members[0].content), qualifiers=tuple(kinds), texts=tuple(texts), refers=refers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A distribution point: where it is, and whether it says anything at all."""

    uris: tuple[str, ...] = ()
    reasons: bool = False
    whole: bool = False


def points_of(value: bytes) -> tuple[Point, ...]:
    """CRLDistributionPoints. Raises Malformed."""
    return tuple(map(_point, read.sequence(value)))


def _point(value: Value) -> Point:
    fields = {member.number: member for member in value.members}
    where = {member.number: member for member in fields[0].members} if 0 in fields else {}
    full = where[0].members if 0 in where else []
    return Point(
        uris=tuple(it.content.decode("utf-8", "surrogateescape") for it in full if it.number == _URI),
        reasons=1 in fields and len(fields[1].content) > 1,
        whole=bool(full) or 1 in where or (2 in fields and bool(fields[2].content)),  # noqa: PLR2004 - cRLIssuer
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Subtree:
    """A name constraint: which kind of name, its bytes, and the distances that nobody may use."""

    kind: int
    data: bytes
    minimum: int = 0
    maximum: int = 0
    excluded: bool = False


def subtrees_of(value: bytes) -> tuple[Subtree, ...]:
    """NameConstraints, permitted and excluded. Raises Malformed."""
    return tuple(_subtree(tree, excluded=side.number == 1) for side in read.sequence(value) for tree in side.members)


def _subtree(value: Value, *, excluded: bool) -> Subtree:
    base, *distances = value.members
    if base.number == _IP and len(base.content) not in (8, 32):
        raise Malformed("an address and its mask have too many octets, or too few")
    limits = {distance.number: read.integer(distance.content) for distance in distances}
    return Subtree(
        kind=base.number,
        data=base.content,
        minimum=limits.get(0, 0),
        maximum=limits.get(1, 0),
        excluded=excluded,
    )


def bits_of(value: bytes) -> KeyUsage:
    """KeyUsage; what is no bit string has no bits."""
    try:
        content = read.first(value, read.BIT_STRING).content
    except Malformed:
        return KeyUsage(0)
    octets = content[1:3]
    size = len(content[1:]) * 8 - (content[0] if content else 0)
    found = KeyUsage(0)
    for place, bit in enumerate(KeyUsage):
        if place < size and octets[place // 8] >> (7 - place % 8) & 1:
            found |= bit
    return found


def places_of(value: bytes) -> tuple[tuple[str, str], ...]:
    """AuthorityInfoAccess: methods and URLs. Raises Malformed."""
    found = []
    for access in read.sequence(value):
        method, place = access.members
        if place.number == _URI:
            found.append((read.dotted(method.content), place.content.decode("utf-8", "surrogateescape")))
    return tuple(found)


def logs_of(value: bytes) -> tuple[bytes, ...]:
    """The logs of a list of timestamps (RFC 6962, 3.3). Raises Malformed."""
    rest = read.first(value, read.OCTETS).content[2:]
    found = []
    while rest:
        size = int.from_bytes(rest[:2])
        if len(rest) < 2 + size or size < 33:  # noqa: PLR2004 - a version and the log's identifier
            raise Malformed("a timestamp is cut short")
        found.append(rest[3:35])
        rest = rest[2 + size :]
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Basic:
    """BasicConstraints, and the values that it is made of."""

    is_ca: bool = False
    path_length: int | None = None
    members: tuple[Value, ...] = field(default=())


def basic_of(value: bytes) -> Basic | None:
    """None for what Go would not read."""
    try:
        members = read.sequence(value)
        is_ca = bool(members) and members[0].tag == read.BOOLEAN and members[0].content != b"\0"
        lengths = [read.integer(it.content) for it in members if it.tag == read.INTEGER]
    except Malformed:
        return None
    return Basic(is_ca=is_ca, path_length=lengths[0] if lengths else None, members=tuple(members))
