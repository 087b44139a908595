"""Platforms that a bundle should be trusted on: CFSSL's metadata, a JSON array beside the platforms' root stores."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from groundplane.decoding import UNREADABLE
from groundplane.errors import Invalid, NotFound
from groundplane.pki.chain.build import Chain
from groundplane.pki.chain.link import Link
from groundplane.pki.chain.read import read_every_pem
from groundplane.pki.chain.score import chain_hash_known, chain_key_known

_HASHES = {"SHA1": 100, "SHA2": 70}
_KEYS = {"RSA": 100, "ECDSA256": 70, "ECDSA384": 70, "ECDSA521": 30}


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """One: its weight (a share of the market), what it understands, its roots. No roots: it trusts whom it is told."""

    name: str
    weight: int
    hash_known: int
    key_known: int
    roots: frozenset[bytes] = frozenset()

    def trusts(self, root: Link) -> bool:
        """Whether the key of `root` is among its roots'."""
        return not self.roots or _key_digest(root) in self.roots

    def takes(self, chain: Chain) -> bool:
        """Whether it trusts the root, and understands all of the chain."""
        known = self.hash_known <= chain_hash_known(chain) and self.key_known <= chain_key_known(chain)
        return known and self.trusts(chain[-1])


class _Entry(msgspec.Struct):
    name: str = ""
    weight: int = 0
    hash_algo: str = ""
    key_algo: str = ""
    keystore: str = ""


def load_platforms(path: Path) -> tuple[Platform, ...]:
    """The platforms of a metadata file; key stores are relative to it. Raises NotFound, Invalid."""
    try:
        data = path.read_bytes()
    except OSError as bad:
        raise NotFound(f"cannot be read: {bad.strerror or bad}", to=path, hint="name a metadata file") from bad
    try:
        entries = msgspec.json.decode(data, type=list[_Entry])
    except UNREADABLE as bad:
        raise Invalid(f"this is no list of platforms: {bad}", to=path, hint="see docs/pki/chain.md") from bad
    return tuple(_platform(entry, path) for entry in entries)


def _platform(entry: _Entry, path: Path) -> Platform:
    if entry.hash_algo not in _HASHES or entry.key_algo not in _KEYS:
        happened = f"platform {entry.name!r} has hash_algo {entry.hash_algo!r}, key_algo {entry.key_algo!r}"
        hint = f"hash_algo is one of {', '.join(_HASHES)}; key_algo one of {', '.join(_KEYS)}"
        raise Invalid(happened, to=path, hint=hint)
    roots: frozenset[bytes] = frozenset()
    if entry.keystore:
        store = path.parent / entry.keystore
        try:
            roots = frozenset(map(_key_digest, read_every_pem(store.read_bytes())))
        except OSError as bad:
            raise NotFound(f"cannot be read: {bad.strerror or bad}", to=store, hint=f"mend {path}") from bad
    return Platform(
        name=entry.name,
        weight=entry.weight,
        hash_known=_HASHES[entry.hash_algo],
        key_known=_KEYS[entry.key_algo],
        roots=roots,
    )


def weight_of(chain: Chain, platforms: Sequence[Platform]) -> int:
    """What the platforms that take it weigh together."""
    return sum(platform.weight for platform in platforms if platform.takes(chain))


def _key_digest(it: Link) -> bytes:
    try:
        key = it.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except Exception:  # noqa: BLE001 - a key that cryptography does not know; its own certificate still names it
        key = it.der
    return hashlib.sha256(key).digest()
