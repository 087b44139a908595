"""Whom to believe: roots, the intermediates known so far, and where new ones are kept."""

import os
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from groundplane.pki.chain.build import Pool
from groundplane.pki.chain.fetch import Fetcher
from groundplane.pki.chain.link import Link
from groundplane.pki.chain.platforms import Platform
from groundplane.pki.chain.read import read_every_pem
from groundplane.system import files

_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


@dataclass(slots=True, kw_only=True)
class Trust:
    """`fetcher` None: issuers that are not at hand are not looked for. `stash`: where those that were found are put."""

    roots: Pool
    intermediates: Pool = field(default_factory=Pool)
    fetcher: Fetcher | None = None
    stash: Path | None = None
    platforms: tuple[Platform, ...] = ()


def system_roots() -> Pool:
    """What this machine trusts: SSL_CERT_FILE, SSL_CERT_DIR or the first of the usual files."""
    given = os.environ.get("SSL_CERT_FILE")
    candidates = [given] if given else [*_BUNDLES, ssl.get_default_verify_paths().cafile]
    pool = Pool()
    for candidate in filter(None, candidates):
        if (data := _read(Path(candidate))) is not None:
            _add(pool, read_every_pem(data))
            break
    directory = os.environ.get("SSL_CERT_DIR")
    if directory or not len(pool):
        for place in (directory or "/etc/ssl/certs").split(":"):
            for path in sorted(Path(place).glob("*")) if Path(place).is_dir() else ():
                if path.is_file() and (data := _read(path)) is not None:
                    _add(pool, read_every_pem(data))
    return pool


def stash_name(it: Link) -> str:
    """Its file's name: the CN without dots and blanks, key identifier and serial number in hex, as CFSSL names it."""
    name = it.common_name.replace(".", "").replace(" ", "").replace("/", "_").replace("\0", "_")
    number = abs(it.certificate.serial_number)
    return f"{name[:100]}_{it.subject_key_id.hex()[:80]}_{number.to_bytes((number.bit_length() + 7) // 8).hex()}.crt"


def keep(it: Link, directory: Path) -> str:
    """Put it in `directory`; returns the file's name. Raises OSError."""
    name = stash_name(it)
    files.replace(directory / name, it.pem.encode(), durable=False)
    return name


def _add(pool: Pool, links: Iterable[Link]) -> None:
    for it in links:
        pool.add(it)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None  # as every program does: what the system has not, is not trusted
