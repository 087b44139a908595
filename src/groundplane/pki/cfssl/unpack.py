"""Which files cfssljson makes of CFSSL's output: names, contents and modes, decided without touching a disk."""

import base64
from dataclasses import dataclass
from pathlib import Path

from groundplane.pki.cfssl.errors import Plain
from groundplane.pki.cfssl.gobytes import decode_base64
from groundplane.pki.cfssl.godecode import ANY, BOOL, INT, STRING, Fields, Mapped, Sequence, Struct, decode_fields
from groundplane.pki.cfssl.gojson import Object

_MESSAGE = Struct("main.ResponseMessage", {"code": INT, "message": STRING})
_RESPONSE = Struct(
    "main.Response",
    {"success": BOOL, "result": Mapped(ANY), "errors": Sequence(_MESSAGE), "messages": Sequence(_MESSAGE)},
)
_WRITABLE, _PUBLIC, _PRIVATE = 0o664, 0o644, 0o600  # CFSSL's modes, before the umask


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One file. `binary`: shown as base64 on standard output."""

    suffix: str
    content: bytes
    mode: int
    binary: bool = False

    @property
    def shown(self) -> bytes:
        """The content as `-stdout` prints it."""
        return base64.b64encode(self.content) if self.binary else self.content


class RequestFailed(Plain):
    """The envelope says that the request failed."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__("\n".join(["Request failed:", *(f"\t{message}" for message in messages)]))


def unpack(data: bytes, *, bare: bool) -> list[Output]:
    """The files, in CFSSL's order. Raises Plain."""
    found = _bare(data) if bare else _enveloped(data)
    made = [
        _text(found, ("cert", "certificate"), ".pem", _WRITABLE),
        _text(found, ("key", "private_key"), "-key.pem", _PRIVATE),
        _text(found, ("encrypted_key",), "-key.enc", _PRIVATE, binary=True),
        _text(found, ("csr", "certificate_request"), ".csr", _PUBLIC),
        *_bundle(found),
        _response(found),
    ]
    return [output for output in made if output is not None and output.content]


def path_of(base: str, output: Output) -> Path:
    """Where `output` goes."""
    return Path(base + output.suffix)


def _bare(data: bytes) -> Fields:
    return _read(data, Mapped(ANY))


def _enveloped(data: bytes) -> Fields:
    response = _read(data, _RESPONSE)
    if response.get("success") is not True:
        errors = response.get("errors")
        messages = [error.get("message", "") for error in errors if error] if isinstance(errors, list) else []
        raise RequestFailed(messages)
    result = response.get("result")
    return result if isinstance(result, dict) else {}


def _read(data: bytes, shape: Struct | Mapped) -> Fields:
    try:
        return decode_fields(data, shape)
    except Plain as bad:
        raise Plain(f"Failed to parse input: {bad}") from bad


def _text(found: Fields, names: tuple[str, ...], suffix: str, mode: int, *, binary: bool = False) -> Output | None:
    for name in names:
        if name in found:
            value = found[name]
            if not isinstance(value, str):  # CFSSL panics here
                raise Plain(f"Failed to parse input: {name} is not a string")
            return Output(suffix=suffix, content=value.encode(), mode=mode, binary=binary)
    return None


def _bundle(found: Fields) -> list[Output]:
    """A reply of `bundle`, whole: the chain and its root."""
    inner = _member(found.get("result"), "bundle")
    if not isinstance(inner, Object):
        return []
    bundle, root = (_member(inner, name) for name in ("bundle", "root"))
    if not isinstance(bundle, str):
        raise Plain("inner bundle parsing failed!")
    if not isinstance(root, str):
        raise Plain("root parsing failed!")
    return [
        Output(suffix="-bundle.pem", content=f"{bundle}\n{root}".encode(), mode=_PUBLIC),
        Output(suffix="-root.pem", content=root.encode(), mode=_PUBLIC),
    ]


def _member(value: object, name: str) -> object:
    """The last field of that name."""
    found = dict(value.pairs) if isinstance(value, Object) else {}
    return found.get(name)


def _response(found: Fields) -> Output | None:
    response = _text(found, ("ocspResponse",), "-response.der", _PUBLIC)
    if response is None:
        return None
    try:
        content = decode_base64(response.content.decode())
    except Plain as bad:
        raise Plain(f"Failed to parse ocspResponse: {bad}") from bad
    return Output(suffix="-response.der", content=content, mode=_PUBLIC, binary=True)
