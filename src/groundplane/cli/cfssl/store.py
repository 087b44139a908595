"""The database that -db-config names."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from groundplane.cli.cfssl.context import Context
from groundplane.pki.cfssl.errors import Code, Coded

if TYPE_CHECKING:
    from groundplane.pki.cfssl.store import CertificateStore


@contextmanager
def recording(context: Context) -> Iterator[Callable[[str], None]]:
    """What a certificate in PEM is told to: the database, if -db-config names one. Raises CfsslError, also within."""
    if not context.text("db-config"):
        yield lambda _: None
        return
    store = store_of(context)

    def record(certificate_pem: str) -> None:
        store.keep(certificate_pem, label=context.text("label"), metadata=None, now=datetime.now(UTC))
        context.journal.debug("saved the certificate in the database")

    try:
        yield record
    finally:
        store.close()


def store_of(context: Context) -> "CertificateStore":
    """It connects when it is first used; all that it raises is CfsslError, and so does this."""
    path = context.text("db-config")
    if not path:
        raise Coded(Code.POLICY, "invalid path")
    context.journal.debug(f"loading db configuration file from {path}")
    try:
        data = Path(path).read_bytes()
    except OSError as bad:
        raise Coded(Code.POLICY, "could not read configuration file") from bad
    from groundplane.pki.cfssl.store import open_store

    return open_store(data)
