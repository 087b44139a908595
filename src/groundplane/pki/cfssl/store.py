"""CFSSL's certificate store: the database of a -db-config file, refusing with CFSSL's codes and its drivers' words."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa

from groundplane.errors import GroundplaneError, Invalid, NotFound
from groundplane.pki.certdb.database import CertificateDatabase, SerialTaken
from groundplane.pki.certdb.faults import StoreFailed
from groundplane.pki.certdb.model import DRIVERS, DatabaseConfig
from groundplane.pki.certdb.record import record_of
from groundplane.pki.certdb.retry import StoreUnavailable, T
from groundplane.pki.certdb.source import Source, read_source
from groundplane.pki.cfssl.errors import CfsslError, Code, Coded, Plain
from groundplane.pki.cfssl.godecode import STRING, Struct, decode_fields
from groundplane.pki.cfssl.material import parse_certificate

_CONFIG = Struct("dbconf.DBConfig", {"driver": STRING, "data_source": STRING})
_PATIENCE = timedelta(seconds=10)
_CONNECTIONS = 8


class CertificateStore(CertificateDatabase):
    """The same database; each of its methods raises CfsslError."""

    def call(self, once: Callable[[sa.Connection, bool], T]) -> T:
        """As the database does it. Raises CfsslError."""
        try:
            return super().call(once)
        except GroundplaneError as bad:
            raise coded(bad, self.source) from bad

    def keep(self, certificate_pem: str, *, label: str, metadata: Mapping[str, object] | None, now: datetime) -> None:
        """A certificate that was signed `now`, for a request with this label. Raises CfsslError."""
        certificate = parse_certificate(certificate_pem.encode())
        self.insert(record_of(certificate, label=label, metadata=metadata, now=now))

    def find_exactly(self, serial: str, authority_key_id: str) -> str | None:
        """The PEM of the certificate that is stored under these very texts, or None. Raises CfsslError."""
        row = self.call(lambda connection, _: self._row(connection, serial, authority_key_id, ("pem",)))
        return None if row is None else str(row["pem"])

    def revoke_exactly(self, serial: str, authority_key_id: str, *, reason: int, at: datetime) -> None:
        """The certificate that is stored under these very texts, as CFSSL compares them. Raises CfsslError."""
        self.call(lambda connection, _: self._revoke(connection, serial, authority_key_id, reason, at))


def open_store(data: bytes) -> CertificateStore:
    """The store of a db-config file's content. It connects when it is first used. Raises CfsslError."""
    return store_of(read_store_config(data))


def store_of(config: DatabaseConfig) -> CertificateStore:
    """The store that it names. Raises Plain."""
    return CertificateStore(read_source_of(config), connections=_CONNECTIONS, patience=_PATIENCE)


def read_store_config(data: bytes) -> DatabaseConfig:
    """By Go's rules for JSON: unknown fields are passed over. Raises Coded."""
    try:
        fields = decode_fields(data, _CONFIG)
    except Plain as bad:
        raise Coded(Code.POLICY, f"failed to unmarshal configuration: {bad}") from bad
    driver, data_source = str(fields.get("driver", "")), str(fields.get("data_source", ""))
    if not driver or not data_source:
        raise Coded(Code.POLICY, "invalid db configuration")
    return DatabaseConfig(driver=driver, data_source=data_source)


def read_source_of(config: DatabaseConfig) -> Source:
    """Where it is. Raises Plain."""
    if config.driver not in DRIVERS:
        raise Plain(f'sql: unknown driver "{config.driver}" (forgotten import?)')
    try:
        return read_source(config)
    except Invalid as bad:
        raise Plain(str(bad)) from bad


def coded(bad: GroundplaneError, source: Source) -> CfsslError:
    """What CFSSL would say of it."""
    match bad:
        case SerialTaken() | StoreFailed():
            return Coded(Code.STORE_UNKNOWN, bad.words)
        case StoreUnavailable():
            words = f"dial {_address(source)}: {bad.words}" if bad.words.startswith("connect: ") else bad.words
            return Coded(Code.STORE_UNKNOWN, words)
        case NotFound():
            return Coded(Code.RECORD_NOT_FOUND, "failed to revoke the certificate: certificate not found")
        case _:
            return Plain(str(bad))


def _address(source: Source) -> str:
    at = source.arguments
    if "unix_socket" in at:
        return f"unix {at['unix_socket']}"
    return f"tcp {at.get('host', '')}:{at.get('port', '5432')}"
