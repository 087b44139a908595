"""PKCS#11 URIs (RFC 7512): `pkcs11:token=ca;object=root?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=p`."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from groundplane.errors import Invalid

PREFIX = "pkcs11:"
_PATH = ("token", "manufacturer", "serial", "model", "slot-id", "object", "type", "id")
_QUERY = ("module-path", "pin-source")
_LONGEST_NUMBER = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyURI:
    """Which key in which token. Empty: not said. `pin_source` is `file:PATH` or `env:NAME`."""

    token: str = ""
    serial: str = ""
    manufacturer: str = ""
    model: str = ""
    slot: int | None = None
    label: str = ""
    key_id: bytes = b""
    module: str = ""
    pin_source: str = ""


def is_uri(text: str) -> bool:
    """Whether it names a key in a token, and not a file."""
    return text.startswith(PREFIX)


def parse_uri(text: str) -> KeyURI:
    """Raises Invalid; a PIN in the URI itself is refused, since others see it."""
    path, _, query = text.removeprefix(PREFIX).partition("?")
    found = _attributes(path, ";", text) | _attributes(query, "&", text)
    if b"pin-value" in {name.encode() for name in found}:
        raise Invalid("a PIN does not belong there", to="pin-value", hint="use pin-source=file:PATH or env:NAME")
    if unknown := sorted(set(found) - {*_PATH, *_QUERY}):
        hint = f"known here: {', '.join((*_PATH, *_QUERY))}"
        raise Invalid(f"{unknown[0]!r} is not known", to="pkcs11 URI", hint=hint)
    if found.get("type", b"private") not in {b"private", b"public", b"cert"}:
        raise Invalid("only keys can sign", to="pkcs11 URI: type", hint="leave type out")
    slot = found.get("slot-id", b"").decode(errors="replace")
    if slot and not (slot.isascii() and slot.isdigit() and len(slot) <= _LONGEST_NUMBER):
        raise Invalid(f"{slot!r} is no number", to="pkcs11 URI: slot-id")
    if not (found.get("object") or found.get("id")):
        raise Invalid("which key?", to="pkcs11 URI", hint="add object=LABEL or id=%01")
    if not (found.get("token") or found.get("serial") or slot):
        raise Invalid("which token?", to="pkcs11 URI", hint="add token=LABEL")
    return KeyURI(
        token=_text(found, "token"),
        serial=_text(found, "serial"),
        manufacturer=_text(found, "manufacturer"),
        model=_text(found, "model"),
        slot=int(slot) if slot else None,
        label=_text(found, "object"),
        key_id=found.get("id", b""),
        module=_text(found, "module-path"),
        pin_source=_text(found, "pin-source"),
    )


def _attributes(text: str, separator: str, whole: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in filter(None, text.split(separator)):
        name, equals, value = part.partition("=")
        if not equals or name in found:
            words = f"{name!r} is given twice" if name in found else f"{name!r} has no value"
            raise Invalid(words, to=whole.partition("?")[0], hint="write name=value, each once")
        found[name] = unquote_to_bytes(value)
    return found


def _text(found: Mapping[str, bytes], name: str) -> str:
    try:
        return found.get(name, b"").decode()
    except UnicodeDecodeError as bad:
        raise Invalid("this is not UTF-8", to=f"pkcs11 URI: {name}") from bad
