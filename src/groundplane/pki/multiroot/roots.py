"""The CAs of a file of roots: certificate, key and policy of each, who may ask it, and where it records."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_interface
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_private_key

from groundplane.pki.cfssl.config import Config, load_config
from groundplane.pki.cfssl.errors import CfsslError, Code, Coded, Plain
from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.cfssl.material import parse_certificate, parse_key
from groundplane.pki.cfssl.sign import Issuer
from groundplane.pki.cfssl.signers import LocalSigners
from groundplane.pki.cfssl.tokens import keys_of
from groundplane.pki.keys import PrivateKey
from groundplane.pki.multiroot.ini import parse_roots

_CIDR = re.compile(r"[0-9A-Fa-f.:]+/[0-9]{1,3}")  # no bare address and no mask in dots, as in Go
Net = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """One CA. `nets` None: everyone may ask. `keys`: of the callers of each profile, "" for the default's."""

    label: str
    signers: LocalSigners
    config: Config
    keys: Mapping[str, tuple[bytes, ...]] = field(repr=False)
    nets: tuple[Net, ...] | None = None

    def admits(self, host: str) -> bool:
        """Whether a caller from this address may ask."""
        if self.nets is None:
            return True
        try:
            address = ip_address(host.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address.version == net.version and address in net for net in self.nets)

    @property
    def quick(self) -> bool:
        """Whether it signs without waiting for a database or a log of transparency."""
        policy = self.config.policy
        logs = any(profile.ct_logs for profile in (policy.default, *policy.profiles.values()))
        return self.signers.database is None and not logs


def load_roots(path: str, *, clock: Callable[[], datetime], journal: Journal) -> dict[str, Root]:
    """By label. Raises CfsslError; a database is not connected to before it is used."""
    text = _read(path).decode(errors="replace")
    roots = {}
    for label, entries in parse_roots(text).items():
        roots[label] = _load(label, entries, clock, journal)
        for line in roots[label].config.skipped():
            journal.warning(line)
    for label in roots:
        journal.info(f"loaded signer {label}")
    return roots


def _load(label: str, entries: Mapping[str, str], clock: Callable[[], datetime], journal: Journal) -> Root:
    missing = {"private": "private key spec", "certificate": "certificate path", "config": "configuration file path"}
    for name, what in missing.items():
        if name not in entries:
            raise Plain(f"config: root is missing {what}")
    key = read_key(entries["private"])
    certificate = parse_certificate(_read(entries["certificate"]))
    try:
        policy = Path(entries["config"]).read_bytes() if entries["config"] else None
    except OSError as bad:
        raise Coded(Code.POLICY, "could not read configuration file") from bad
    if policy is None:
        raise Coded(Code.POLICY, "invalid path")
    config = load_config(policy, source=entries["config"])
    nets = _nets(entries["nets"]) if entries.get("nets") else None
    database = None
    if entries.get("dbconfig"):
        from groundplane.pki.cfssl.store import open_store

        try:
            data = Path(entries["dbconfig"]).read_bytes()
        except OSError as bad:
            raise Coded(Code.POLICY, "could not read configuration file") from bad
        database = open_store(data)
    issuer = Issuer(key=key, certificate=certificate, clock=clock, journal=journal)
    signers = LocalSigners(issuer=issuer, config=config, database=database)
    return Root(label=label, signers=signers, config=config, keys=keys_of(config), nets=nets)


def read_key(spec: str) -> PrivateKey:
    """The key of `file://PATH`, in PEM or DER. Raises CfsslError."""
    try:
        split = urlsplit(spec)
    except ValueError as bad:
        raise Plain(f"parse {spec!r}: {bad}") from bad
    if spec.startswith(":"):
        raise Plain(f'parse "{spec}": missing protocol scheme')
    if split.scheme == "rofile":
        raise Plain("config: Red October is retired; keep the key in a file, and name it with file://")
    if split.scheme != "file":
        raise Plain("config: unsupported private key scheme")
    path = split.netloc + unquote(split.path)  # of a relative path, the first part stands where a host would
    data = _read(path)
    try:
        return parse_key(data)
    except CfsslError as bad:
        try:
            key = load_der_private_key(data, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise bad from None
        if not isinstance(key, PrivateKey):
            raise Plain("unsupported private key type") from bad
        return key


def _nets(text: str) -> tuple[Net, ...]:
    return tuple(_net(one.strip()) for one in text.split(","))


def _net(text: str) -> Net:
    try:
        if _CIDR.fullmatch(text):
            return ip_interface(text).network
    except ValueError:
        pass  # no such address: refused below, in the same words
    raise Plain(f"invalid CIDR address: {text}")


def _read(path: str) -> bytes:
    try:
        if not path:
            raise FileNotFoundError(2, "No such file or directory")
        return Path(path).read_bytes()
    except (OSError, ValueError) as bad:
        verb = "read" if isinstance(bad, IsADirectoryError) else "open"
        words = bad.strerror if isinstance(bad, OSError) else None
        raise Plain(f"{verb} {path}: {(words or 'invalid argument').lower()}") from bad
