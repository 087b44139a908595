"""CFSSL's mkbundle: a pool of those certificates of many files that are alive and not revoked.

What could not be found out counts as revoked here, as in CFSSL: the certificate is left out, with a warning.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from groundplane.errors import GroundplaneError, Invalid
from groundplane.pki.cfssl.goname import short
from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.chain.fetch import Fetcher
from groundplane.pki.chain.link import Link, link_of
from groundplane.pki.chain.read import read_one
from groundplane.pki.chain.revocation import Finding, Revocations, Standing
from groundplane.pki.load import certificate_of_der
from groundplane.pki.pem import pem_blocks

_MOST_URLS = 8  # of a kind in one certificate


@dataclass(slots=True, kw_only=True)
class PoolMaker:
    """Looks at certificates, and tells `journal` what it thinks of each."""

    journal: Journal
    fetcher: Fetcher
    revocations: Revocations
    clock: Callable[[], datetime]

    def certificates(self, paths: Iterable[str], workers: int) -> Iterator[Link]:
        """Those to keep, file by file; `workers` files are looked at together."""
        if workers < 1:
            next(self._walk(paths), None)
            return  # CFSSL finds the first, has nobody to look at it, and writes an empty file
        with ThreadPoolExecutor(workers) as pool:
            for kept in pool.map(self._of_file, self._walk(paths)):
                yield from kept

    def _walk(self, paths: Iterable[str]) -> Iterator[Path]:
        """Regular files, in the order of their names; links are not followed."""
        for path in paths:
            try:
                yield from self._found(Path(path))
            except OSError as bad:
                self.journal.error(f"Walk failed: lstat {bad.filename}: {(bad.strerror or str(bad)).lower()}")

    def _found(self, path: Path) -> Iterator[Path]:
        self.journal.info(f"Found {path}")
        kind = path.lstat()
        if path.is_symlink():
            return
        if path.is_dir():
            for below in sorted(path.iterdir()):
                yield from self._found(below)
        elif path.is_file() and kind:
            yield path

    def _of_file(self, path: Path) -> list[Link]:
        self.journal.info(f"Loading {path}")
        try:
            data = path.read_bytes()
        except OSError as bad:
            self.journal.warning(f"open {path}: {(bad.strerror or str(bad)).lower()}")
            return []
        kept: list[Link] = []
        stop = 0
        for block in pem_blocks(data):
            stop = block.stop
            if block.label != "CERTIFICATE":
                self.journal.info("Skipping non-certificate")
            elif (it := self._read(block.content)) is not None and self._is_fine(it):
                kept.append(it)
        if data[stop:].lstrip(b"\r\n"):
            self.journal.warning(f"{path}: no PEM data found")
        return kept

    def _read(self, der: bytes) -> Link | None:
        try:
            return link_of(certificate_of_der(der))
        except (ValueError, Invalid) as bad:
            self.journal.warning(f"Invalid certificate: {bad}")
            return None

    def _is_fine(self, it: Link) -> bool:
        self.journal.info(f"Validating {short(it.subject)}")
        standing = self.standing(it)
        if standing is Standing.UNKNOWN:
            self.journal.warning("Failed to verify certificate.")
        elif standing is Standing.REVOKED:
            self.journal.info("Skipping revoked certificate")
        return standing is Standing.GOOD

    def standing(self, it: Link) -> Standing:
        """What CFSSL would think of it: one out of its dates counts as revoked."""
        now = self.clock()
        dead = ""
        if now >= it.not_after:
            dead = f"Certificate expired {it.not_after:%F %T} +0000 UTC"
        elif now <= it.not_before:
            dead = f"Certificate isn't valid until {it.not_before:%F %T} +0000 UTC"
        if dead:
            self.journal.info(dead)
        return Standing.REVOKED if dead else self._told_of(it)

    def _told_of(self, it: Link) -> Standing:
        """By every list first, then by the responders."""
        issuer = self._issuer(it) if it.crl_urls or it.ocsp_urls else None
        for url in it.crl_urls[:_MOST_URLS]:
            if urlsplit(url).scheme.lower() == "ldap":
                self.journal.info(f"skipping LDAP CRL: {url}")
                continue
            standing = self._told(self.revocations.by_crl(it, issuer, url), it, "CRL")
            if standing is not Standing.GOOD:
                return standing
        if not it.ocsp_urls:
            return Standing.GOOD
        if issuer is None:
            return self._told(Finding(standing=Standing.UNKNOWN, why="its issuer is not to be had"), it, "OCSP")
        for url in it.ocsp_urls[:_MOST_URLS]:
            found = self.revocations.by_ocsp(it, issuer, url)
            if found.standing is not Standing.UNKNOWN:
                return self._told(found, it, "OCSP")
        return self._told(Finding(standing=Standing.UNKNOWN, why="nobody answered"), it, "OCSP")

    def _told(self, found: Finding, it: Link, how: str) -> Standing:
        if found.standing is Standing.UNKNOWN:
            self.journal.warning(found.why)
            self.journal.warning(f"error checking revocation via {how}")
        elif found.standing is Standing.REVOKED:
            about = f"(CN={it.common_name}, Serial: {it.certificate.serial_number})"
            if how == "CRL":
                self.journal.info("Serial number match: intermediate is revoked.")
                self.journal.info(f"certificate is revoked via CRL {about}")
            else:
                self.journal.info(f"certificate is revoked via OCSP {about}")
        return found.standing

    def _issuer(self, it: Link) -> Link | None:
        for url in it.issuer_urls[:_MOST_URLS]:
            try:
                return read_one(self.fetcher.get(url), source=url)
            except GroundplaneError:
                continue  # the next address may do; without any, OCSP cannot be asked
        return None
