"""Signed certificate timestamps, as a log's JSON has them and as a certificate does (RFC 6962, 3.2, 3.3 and 4.1).

A certificate is first made with the poison extension, which nobody can use; logs sign that they have seen it; the
certificate itself has their list in place of the poison, and is otherwise the same, serial number included.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from groundplane.pki import der
from groundplane.pki.model import POISON_OID, TIMESTAMPS_OID, RawExtension

POISON = RawExtension(oid=POISON_OID, critical=True, value=b"\x05\x00")
_LOG_ID, _LARGEST, _SIGNATURE_HEAD = 32, 0xFFFF, 4
_HASHES, _SIGNATURES = range(7), range(4)  # RFC 5246, 7.4.1.4.1: what a log may say that it signed with


class BadTimestamp(ValueError):
    """Not what a log may answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timestamp:
    """A log's word. `milliseconds` since 1970; `signature` with its algorithms and its length before it."""

    log_id: bytes
    milliseconds: int
    extensions: bytes
    signature: bytes

    def encode(self) -> bytes:
        """As a list has it."""
        return b"".join(
            (
                b"\0",
                self.log_id,
                self.milliseconds.to_bytes(8),
                len(self.extensions).to_bytes(2),
                self.extensions,
                self.signature,
            )
        )

    def signed(self, certificate: bytes, *, issuer_key_hash: bytes) -> bytes:
        """What the signature is over: the certificate without poison and list, and the hash of the issuer's key."""
        entry = b"\0\1" + issuer_key_hash + len(certificate).to_bytes(3) + certificate
        head = b"\0\0" + self.milliseconds.to_bytes(8)
        return head + entry + len(self.extensions).to_bytes(2) + self.extensions


def read_timestamp(fields: Mapping[str, object]) -> Timestamp:
    """From the JSON of add-pre-chain. Raises BadTimestamp."""
    version, milliseconds = fields.get("sct_version", 0), fields.get("timestamp")
    if version != 0 or isinstance(version, bool):
        raise BadTimestamp(f"unknown sct_version {version!r}")
    if not isinstance(milliseconds, int) or isinstance(milliseconds, bool) or not 0 <= milliseconds < 2**64:
        raise BadTimestamp("there is no timestamp in it")
    log_id, extensions, signature = (_octets(fields, name) for name in ("id", "extensions", "signature"))
    if len(log_id) != _LOG_ID:
        raise BadTimestamp(f"the log's id has {len(log_id)} bytes, not {_LOG_ID}")
    right = len(signature) > _SIGNATURE_HEAD and int.from_bytes(signature[2:4]) == len(signature) - _SIGNATURE_HEAD
    if not right or signature[0] not in _HASHES or signature[1] not in _SIGNATURES:
        raise BadTimestamp("the signature is not whole")
    if len(extensions) > _LARGEST:
        raise BadTimestamp("its extensions are too long")
    return Timestamp(log_id=log_id, milliseconds=milliseconds, extensions=extensions, signature=signature)


def timestamp_list(timestamps: Sequence[Timestamp]) -> RawExtension:
    """The extension that a certificate has. Raises BadTimestamp for more than fit."""
    encoded = [timestamp.encode() for timestamp in timestamps]
    content = b"".join(len(one).to_bytes(2) + one for one in encoded)
    if len(content) > _LARGEST:
        raise BadTimestamp("these are too many timestamps")
    value = der.wrap(der.OCTET_STRING, len(content).to_bytes(2) + content)
    return RawExtension(oid=TIMESTAMPS_OID, critical=False, value=value)


def _octets(fields: Mapping[str, object], name: str) -> bytes:
    text = fields.get(name, "")
    if not isinstance(text, str):
        raise BadTimestamp(f"its {name} is no text")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as bad:
        raise BadTimestamp(f"its {name} is no base64") from bad
