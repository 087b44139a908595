"""The services of a server, from the files that its settings name; what cannot be had is off, and the log says why."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from cryptography import x509

from groundplane.errors import GroundplaneError, NotFound
from groundplane.pki.cfssl import gotext
from groundplane.pki.cfssl.config import Config, load_config, load_strictly
from groundplane.pki.cfssl.errors import CfsslError, Code, Coded, Plain
from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.cfssl.material import parse_certificate, parse_key
from groundplane.pki.cfssl.tokens import keys_of
from groundplane.pki.keys import PrivateKey
from groundplane.pki.server.services import NO_SIGNER, Bundles, Lists, Responses, Scans, Services, utc_now
from groundplane.pki.server.settings import Settings

if TYPE_CHECKING:
    from groundplane.pki.cfssl.signers import Signers
    from groundplane.pki.cfssl.store import CertificateStore
    from groundplane.pki.chain.fetch import Limits
    from groundplane.pki.signer import ByteSigner

T = TypeVar("T")


def read(name: str) -> bytes:
    """A file, `file:PATH`, or the content of a variable for `env:NAME`. Raises Plain in Go's words."""
    prefix, colon, rest = name.partition(":")
    if colon and prefix == "env":
        return os.environ.get(rest, "").encode()
    if colon and prefix != "file":
        raise Plain(f"unknown prefix: {prefix}")
    path = rest if colon else name
    try:
        if not path:
            raise FileNotFoundError(2, "No such file or directory")
        return Path(path).read_bytes()
    except OSError as bad:
        verb = "read" if isinstance(bad, IsADirectoryError) else "open"
        raise Plain(f"{verb} {path}: {(bad.strerror or str(bad)).lower()}") from bad


def services(settings: Settings, journal: Journal) -> Services:
    """Everything. Raises CfsslError only for what CFSSL would not start with.

    Natively what is named must be there: then it raises GroundplaneError too, and nothing is off that was asked for.
    """
    config = policy(settings)
    for line in config.skipped() if config is not None else []:
        journal.warning(line)
    database = _database(settings)
    journal.info("Initializing signer")
    if settings.native:
        signers: Signers | None = _signers(settings, config, journal, database)
        responses = _responses(settings) if settings.responder else None
    else:
        signers = _tried(lambda: _signers(settings, config, journal, database), journal, "signer")
        responses = _tried(lambda: _responses(settings), journal, "ocsp signer")
    bundles, no_bundles = _bundles(settings, journal)
    lists, no_lists = _lists(settings, database)
    scans, no_scans = _scans(settings, journal)
    keys = _keys(config)
    return Services(
        journal=journal,
        signers=signers,
        keys_of=lambda profile: keys.get(profile, keys[""]),
        database=database,
        bundles=bundles,
        no_bundles=no_bundles,
        sign_bundles=bundles if settings.ca_bundle and settings.int_bundle else None,
        responses=responses,
        no_responses="no responder is named" if settings.native else NO_SIGNER,
        lists=lists,
        no_lists=no_lists,
        scans=scans,
        no_scans=no_scans,
        quick=_is_quick(signers, config, settings),
        open_profiles=not all(keys.values()),
        locked_profiles=any(keys.values()),
    )


def policy(settings: Settings) -> Config | None:
    """-config. Raises Plain as the command does; natively also Invalid."""
    if not settings.config:
        return None
    load = load_strictly if settings.native else load_config
    return load(_configuration(settings.config, settings), source=settings.config)


def _configuration(path: str, settings: Settings) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as bad:
        if settings.native:
            raise NotFound(f"cannot be read: {bad.strerror or bad}", to=path, hint="name another file") from bad
        raise Coded(Code.POLICY, "could not read configuration file") from bad


def _tried(make: Callable[[], T], journal: Journal, what: str) -> T | None:
    try:
        return make()
    except (CfsslError, GroundplaneError) as bad:
        journal.warning(f"couldn't initialize {what}: {bad}")
        return None


def _signers(
    settings: Settings, config: Config | None, journal: Journal, database: "CertificateStore | None"
) -> "Signers":
    from groundplane.pki.cfssl.signers import needs_local, open_signers
    from groundplane.pki.remote.tls import ClientTLS

    files = (settings.tls_remote_ca, settings.mutual_tls_client_cert, settings.mutual_tls_client_key)
    here = needs_local(config, settings.remote)
    return open_signers(
        ca=read(settings.ca) if settings.ca_key and here else None,
        ca_key=_ca_key(settings) if settings.ca_key and here and not in_token(settings) else None,
        signer=_token(settings) if here and in_token(settings) else None,
        config=config,
        clock=utc_now,
        journal=journal,
        password=settings.ca_password,
        remote=settings.remote,
        tls=ClientTLS(trust=files[0], certificate=files[1], key=files[2]) if any(files) else None,
        database=database,
        capped=settings.native,
    )


def in_token(settings: Settings) -> bool:
    """Whether the CA's key is in a security module; CFSSL's own server knows none."""
    return settings.native and settings.ca_key.startswith("pkcs11:")


def _token(settings: Settings) -> "ByteSigner":
    from groundplane.pki.keystore.open import open_ca_key

    return open_ca_key(settings.ca_key)


def _ca_key(settings: Settings) -> bytes:
    """The key's file; natively in any form, decrypted, in CFSSL's. Raises CfsslError, Invalid."""
    data = read(settings.ca_key)
    if not settings.native:
        return data
    from groundplane.pki.keys import dump_key
    from groundplane.pki.keystore.private import read_key

    return dump_key(read_key(data, source=settings.ca_key, password=settings.ca_password or None))


def _database(settings: Settings) -> "CertificateStore | None":
    """-db-config; it connects when it is first used, in a worker. Raises CfsslError; natively also Invalid."""
    if not settings.db_config:
        return None
    from groundplane.pki.cfssl.store import open_store, store_of

    data = _configuration(settings.db_config, settings)
    if not settings.native:
        return open_store(data)
    from groundplane.pki.certdb import read_database_config

    return store_of(read_database_config(data, source=settings.db_config))


@dataclass(frozen=True, slots=True, kw_only=True)
class CaLists:
    """Lists of everything in the database that is revoked, signed by the CA."""

    certificate: x509.Certificate
    key: "PrivateKey | ByteSigner"
    database: "CertificateStore"

    def make(self, within: timedelta) -> bytes:
        """A list as of now, in DER. Raises CfsslError."""
        from groundplane.pki.cfssl.crl import crl_of_rows

        now = utc_now()
        rows = self.database.revoked_unexpired(now)
        return crl_of_rows(self.certificate, self.key, rows, within=within, now=now)


def _lists(settings: Settings, database: "CertificateStore | None") -> tuple[Lists | None, str]:
    """Or why there are none."""
    if database is None:
        return None, ""
    try:
        certificate = read(settings.ca)
        parsed = parse_certificate(certificate)
        if in_token(settings):
            return CaLists(certificate=parsed, key=_token(settings), database=database), ""
        try:
            key = _ca_key(settings)
        except Plain as bad:
            raise Coded(Code.KEY_READ, str(bad)) from bad
        made = CaLists(certificate=parsed, key=parse_key(key, password=settings.ca_password), database=database)
    except (CfsslError, GroundplaneError) as bad:
        return None, str(bad)
    return made, ""


def _responses(settings: Settings) -> Responses:
    from groundplane.pki.cfssl.ocsp import open_ocsp_signer

    issuer, responder, key = (read(name) for name in (settings.ca, settings.responder, settings.responder_key))
    return open_ocsp_signer(issuer, responder, key, interval=gotext.duration(settings.interval), clock=utc_now)


def _bundles(settings: Settings, journal: Journal) -> tuple[Bundles | None, str]:
    """Or why there are none."""
    from groundplane.pki.cfssl.bundle import open_bundler

    try:
        return open_bundler(
            limits=_limits(settings),
            ca_bundle=settings.ca_bundle,
            int_bundle=settings.int_bundle,
            int_dir=settings.int_dir,
            metadata=settings.metadata,
            journal=journal,
        ), ""
    except CfsslError as bad:
        return None, bad.text if settings.native and isinstance(bad, Coded) else str(bad)


def _limits(settings: Settings) -> "Limits | None":
    """For what certificates say is elsewhere: issuers, and who is revoked."""
    from groundplane.pki.chain.fetch import Limits

    # No host is called "", so that none is allowed where none is named.
    return None if settings.fetch_from is None else Limits(hosts=settings.fetch_from | {""})


def _is_quick(signers: "Signers | None", config: Config | None, settings: Settings) -> bool:
    """Whether signing waits for nothing: no database, no other host, no log of transparency, no chain to be fetched."""
    from groundplane.pki.cfssl.signers import LocalSigners

    if not isinstance(signers, LocalSigners) or signers.database is not None or settings.int_bundle:
        return False
    profiles = () if config is None else (config.default, *config.profiles.values())
    return not any(profile.get("ct_log_servers") for profile in profiles)


def _keys(config: Config | None) -> dict[str, tuple[bytes, ...]]:
    """The keys of each profile's callers; "" is the default's. Raises CfsslError."""
    return {"": ()} if config is None else keys_of(config)


def _scans(settings: Settings, journal: Journal) -> tuple[Scans | None, str]:
    """Or why there are none."""
    from groundplane.pki.cfssl.scan import Scans as CfsslScans

    made = CfsslScans(ca_bundle=settings.ca_bundle, journal=journal, limits=_limits(settings))
    try:
        made.load()
    except CfsslError as bad:
        return None, str(bad)
    return made, ""
