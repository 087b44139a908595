"""The database that -db-config names."""

from pathlib import Path
from typing import TYPE_CHECKING

from groundplane.cli.cfssl.context import Context
from groundplane.pki.cfssl.errors import Code, Coded

if TYPE_CHECKING:
    from groundplane.pki.cfssl.store import CertificateStore


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
