"""Files become parts: what the configuration names is read, checked and opened."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from cryptography import x509

from groundplane.errors import Invalid, NotFound, of_os
from groundplane.pki.acme import metrics
from groundplane.pki.acme.config import Config, parse_config
from groundplane.pki.acme.engine import open_engine
from groundplane.pki.acme.issuer import Issuer
from groundplane.pki.acme.ledger import CertificateLedger, WatchedLedger
from groundplane.pki.acme.order_store import OrderStore
from groundplane.pki.authority import Authority
from groundplane.pki.certdb import read_database_config, subject_key_id_of
from groundplane.pki.certdb.database import CertificateDatabase
from groundplane.pki.keystore.open import open_ca_key
from groundplane.pki.keystore.password import read_password
from groundplane.pki.operators.audit import AuditLog
from groundplane.pki.operators.place import need_directory
from groundplane.pki.operators.trail import Lost, Trail
from groundplane.pki.policy import refuse_remote
from groundplane.pki.wire import parse_policy
from groundplane.system import files

_SHORTEST_SECRET = 16


def read_config(path: Path) -> Config:
    """The configuration at `path`. Raises NotFound, Invalid."""
    return parse_config(_read(path), source=str(path), folder=path.parent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Databases:
    """The certificates' and the server's own tables."""

    certificates: CertificateDatabase
    engine: sa.Engine
    store: OrderStore

    def close(self) -> None:
        """Let go of the connections."""
        self.engine.dispose()
        self.certificates.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The CA with its profiles, and the secrets of external accounts: what may change while the server runs."""

    issuer: Issuer
    authority: Authority
    trail: Trail | None
    external_keys: Mapping[str, bytes] = field(repr=False)


def open_databases(config: Config) -> Databases:
    """Connect, and bring the tables up to date. Raises GroundplaneError."""
    database = read_database_config(_read(config.database), source=str(config.database))
    certificates = CertificateDatabase.open(database, migrate=True)
    engine = open_engine(database)
    store = OrderStore(engine)
    store.migrate()
    return Databases(certificates=certificates, engine=engine, store=store)


def load_material(config: Config, certificates: CertificateDatabase, *, make: bool = True) -> Material:
    """Read the rest; `make` False makes no directory. Raises GroundplaneError for the first thing that is wrong."""
    if config.metrics == config.listen:
        raise Invalid(f"metrics are at {config.metrics}, too", to=f"listen {config.listen}", hint="choose another port")
    chain = _certificates(config.ca_certificate)
    password = (
        None if config.ca_password is None else read_password(f"file:{config.ca_password}", what="CA key's password")
    )
    signer = open_ca_key(config.ca_key, password=password)
    authority = Authority(chain[0], signer, source=str(config.ca_certificate))
    policy = parse_policy(_read(config.policy), source=str(config.policy))
    for name in {config.profile, config.tls_profile, *config.profiles}:
        refuse_remote(policy.profile(name))
    if not (key_id := subject_key_id_of(chain[0])):
        happened = "it has no subject key identifier, by which its certificates are kept"
        raise Invalid(happened, to=config.ca_certificate, hint="make one with `groundplane pki gencert --initca`")
    trail = None
    if config.audit is not None:
        log = AuditLog(path=config.audit)
        log.check()
        trail = Trail(log, lost=Lost(), failed=metrics.UNTOLD.inc)
    issuer = Issuer(
        chain,
        signer,
        policy=policy,
        default_profile=config.profile,
        ledger=WatchedLedger(CertificateLedger(certificates, authority_key_id=key_id), trail),
        alternates=[_certificates(path) for path in config.alternate_chains],
        source=str(config.ca_certificate),
    )
    keys = {kid: _secret(path) for kid, path in config.external.keys.items()}
    try:
        need_directory(config.state)
        if make:
            files.ensure_directory(config.state, mode=files.PRIVATE_DIR)
    except OSError as bad:
        raise of_os(bad, to=config.state) from bad
    return Material(issuer=issuer, authority=authority, trail=trail, external_keys=keys)


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(path))
    except ValueError as bad:
        raise Invalid("there is no certificate in it that can be read", to=path, hint="give a PEM file") from bad


def _secret(path: Path) -> bytes:
    """An external account's HMAC key, in base64url."""
    text = _read(path).strip()
    if path.stat().st_mode & 0o077:
        raise Invalid("others can read this secret", to=path, hint=f"chmod 600 {path}")
    try:
        secret = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except (ValueError, binascii.Error) as bad:
        raise Invalid("this is not base64url", to=path, hint="make one: openssl rand -base64 32") from bad
    if len(secret) < _SHORTEST_SECRET:
        raise Invalid(f"the secret has less than {_SHORTEST_SECRET} bytes", to=path, hint="make a longer one")
    return secret


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as bad:
        raise NotFound(f"cannot be read: {bad.strerror or bad}", to=path, hint="name another file") from bad
