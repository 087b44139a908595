"""Distinguished names as Go prints them: `CN=root,O=Org,C=US`, the reverse of its own fixed order."""

from collections.abc import Iterator

from groundplane.pki import der
from groundplane.pki.dn import attributes_of
from groundplane.pki.name import Attribute

_SHORT = {
    "2.5.4.6": "C",
    "2.5.4.8": "ST",
    "2.5.4.7": "L",
    "2.5.4.9": "STREET",
    "2.5.4.17": "POSTALCODE",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.3": "CN",
    "2.5.4.5": "SERIALNUMBER",
}
_SINGLE = frozenset({"2.5.4.3", "2.5.4.5"})
_LONG = {
    3: "CommonName",
    5: "SerialNumber",
    6: "Country",
    7: "Locality",
    8: "Province",
    9: "StreetAddress",
    10: "Organization",
    11: "OrganizationalUnit",
    17: "PostalCode",
}
_SPECIAL = frozenset(',+"\\<>;')


def short(name: bytes) -> str:
    """As in Go's log lines."""
    values: dict[str, list[str]] = {oid: [] for oid in _SHORT}
    others: list[str] = []
    for attribute in _attributes(name):
        oid = attribute.oid
        if oid in _SINGLE:
            values[oid] = [attribute.value]  # the last one counts
        elif oid in values:
            values[oid].append(attribute.value)
        else:
            others.append(f"{oid}=#{_der(attribute.value).hex()}")
    groups = [[f"{_SHORT[oid]}={_escaped(value)}" for value in several] for oid, several in values.items()]
    groups = [*([other] for other in others), *(group for group in groups if any(not _bare(it) for it in group))]
    return ",".join("+".join(group) for group in reversed(groups))


def slashed(name: bytes) -> str:
    """As in a bundle: `/Country=US/CommonName=x`; what CFSSL has no word for has none here."""
    parts: list[str] = []
    for attribute in _attributes(name):
        numbers = attribute.oid.split(".")
        word = _LONG.get(int(numbers[3]), "") if len(numbers) > 3 else ""  # noqa: PLR2004 - the fourth number alone
        parts.append(f"/{word}={attribute.value}")
    return "".join(parts)


def _attributes(name: bytes) -> Iterator[Attribute]:
    return (attribute for rdn in attributes_of(name) for attribute in rdn)


def _der(text: str) -> bytes:
    """The value as Go encodes it again: PrintableString where it can be, else UTF8String."""
    value = text.encode()
    printable = all(chr(byte).isalnum() or chr(byte) in " '()+,-./:=?" for byte in value if byte < 0x80)  # noqa: PLR2004
    return der.wrap(der.PRINTABLE if printable and value.isascii() else der.UTF8, value)


def _bare(part: str) -> bool:
    return part.endswith("=") and part.removesuffix("=") in {"CN", "SERIALNUMBER"}


def _escaped(value: str) -> str:
    last = len(value) - 1
    parts: list[str] = []
    for place, character in enumerate(value):
        edge = (character == " " and place in {0, last}) or (character == "#" and place == 0)
        parts.append(f"\\{character}" if character in _SPECIAL or edge else character)
    return "".join(parts)
