"""Octets in JSON as Go reads a []byte: base64 in which line ends do not count, numbers in an array, or null."""

import base64
import binascii

from groundplane.pki.cfssl.errors import Plain
from groundplane.pki.cfssl.godecode import Custom, kind_of
from groundplane.pki.cfssl.gojson import Number

_LARGEST = 255
_LINE_ENDS = b"\r\n"


def octets(field: str) -> Custom:
    """The shape of a field, which is called `field` (Struct.name) where it does not fit; bytes, or None for null."""

    def read(value: object) -> object:
        if value is None:
            return None
        if isinstance(value, str):
            return decode_base64(value)
        if isinstance(value, list):
            return bytes(_octet(one, field) for one in value)
        raise Plain(f"json: cannot unmarshal {kind_of(value)} into Go struct field {field} of type []uint8")

    return Custom("[]uint8", read)


def decode_base64(text: str) -> bytes:
    """What it says (RFC 4648, section 4). Raises Plain with the place where Go stops."""
    written = text.encode()
    letters = written.translate(None, _LINE_ENDS)
    try:
        found = b"" if len(letters) % 4 else base64.b64decode(letters, validate=True)
    except binascii.Error:
        found = b""
    if letters and not found:
        raise Plain(f"illegal base64 data at input byte {_place_of_trouble(written)}")
    return found


def _octet(value: object, field: str) -> int:
    if value is None:
        return 0
    if isinstance(value, Number) and value.text.isdigit() and int(value.text) <= _LARGEST:
        return int(value.text)
    shown = f"number {value.text}" if isinstance(value, Number) else kind_of(value)
    raise Plain(f"json: cannot unmarshal {shown} into Go struct field {field} of type uint8")


def _place_of_trouble(text: bytes) -> int:
    """At the character, or where a group of four begins that has no end."""
    letters = [place for place, byte in enumerate(text) if byte not in _LINE_ENDS]
    for number, place in enumerate(letters):
        byte, in_group = text[place : place + 1], number % 4
        if byte == b"=":
            padding = letters[number : number + (4 - in_group)]
            if in_group < 2:  # noqa: PLR2004 - a byte takes two letters
                return place
            if len(padding) < 4 - in_group:
                return len(text)
            if any(text[other : other + 1] != b"=" for other in padding):
                return padding[-1] - 1
            return padding[-1] + 1
        if not (byte.isalnum() or byte in b"+/"):
            return place
    return len(text) - len(letters) % 4
