"""CFSSL's `scan`: the families of `pki.scan`, its log lines, and the JSON of its results."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from groundplane.pki.cfssl import gotext
from groundplane.pki.cfssl.errors import CfsslError, Plain
from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.scan.families import about
from groundplane.pki.scan.line import Site, open_line
from groundplane.pki.scan.model import Trouble
from groundplane.pki.scan.pattern import BadPattern, Pattern
from groundplane.pki.scan.run import run_scans

if TYPE_CHECKING:
    from groundplane.pki.cfssl.bundle import Bundler
    from groundplane.pki.chain.build import Pool
    from groundplane.pki.chain.fetch import Limits
    from groundplane.pki.chain.link import Link

_ROOTS, _INTERMEDIATES = "/etc/cfssl/ca-bundle.crt", "/etc/cfssl/int-bundle.crt"  # CFSSL's fixed places


@dataclass(slots=True, kw_only=True)
class Scans:
    """Scans servers with one trust. Safe for several threads.

    `limits`: for what is fetched to find out whether certificates are revoked; its hosts are the only ones asked, but
    for those scanned.
    """

    ca_bundle: str
    journal: Journal
    limits: "Limits | None" = None
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    _roots: "Pool | None" = None
    _bundler: "Bundler | None" = None
    _lock: Lock = field(default_factory=Lock)

    def load(self) -> None:
        """Read -ca-bundle now. Raises Plain."""
        if self.ca_bundle:
            self._trusted()

    def run(self, host: str, address: str, *, family: str, scanner: str, within: timedelta) -> dict[str, object]:
        """The results by family and scanner. Raises CfsslError for patterns that are none."""
        try:
            families, scanners = Pattern(family), Pattern(scanner)
        except BadPattern as bad:
            raise Plain(bad.happened) from bad
        site = Site(
            roots=self._trusted,
            is_revoked=self._is_revoked,
            strangers=self._strangers,
            ranges=self._ranges,
            clock=self.clock,
        )
        line = open_line(host, address, site=site, within=within)
        found, complete = run_scans(line, family=families, scanner=scanners)
        if not complete:
            self.journal.warning(f"Scan timed out after {gotext.duration_text(within)}")
        return {
            name: {each: result.document() for each, result in scanners_of.items()}
            for name, scanners_of in found.items()
        }

    def about(self) -> dict[str, object]:
        """The families and scanners there are."""
        return about()

    def _trusted(self) -> "Pool":
        """Raises Plain."""
        from groundplane.pki.chain.build import Pool
        from groundplane.pki.chain.read import read_every_pem
        from groundplane.pki.chain.trust import system_roots

        with self._lock:
            if self._roots is None:
                if self.ca_bundle:
                    data = _read(self.ca_bundle)
                    self._roots = Pool(read_every_pem(data)) if data else system_roots()
                    if not len(self._roots):
                        raise Plain("failed to load cert pool")
                else:
                    self._roots = system_roots()
            return self._roots

    def _is_revoked(self, it: "Link") -> bool | None:
        from groundplane.pki.cfssl.pool import PoolMaker
        from groundplane.pki.chain.fetch import Fetcher
        from groundplane.pki.chain.fetch import Limits as AnyHost
        from groundplane.pki.chain.revocation import Revocations, Standing

        fetcher = Fetcher(self.limits or AnyHost())
        asked = PoolMaker(
            journal=self.journal,
            fetcher=fetcher,
            revocations=Revocations(fetcher=fetcher, clock=self.clock),
            clock=self.clock,
        )
        standing = asked.standing(it)
        return None if standing is Standing.UNKNOWN else standing is Standing.REVOKED

    def _ranges(self) -> tuple[str, ...]:
        """Raises Trouble."""
        from groundplane.pki.scan.connectivity import PUBLISHER, cloudflare_ranges

        if self.limits is not None and self.limits.hosts and PUBLISHER not in self.limits.hosts:
            raise Trouble(f"Couldn't download CloudFlare IPs: {PUBLISHER} may not be asked", to=PUBLISHER)
        return cloudflare_ranges()

    def _strangers(self, chain: "tuple[Link, ...]") -> "tuple[Link, ...]":
        """The CA certificates in it that are in neither bundle. Raises Trouble where there are no bundles."""
        from groundplane.pki.cfssl.bundle import open_bundler

        with self._lock:
            if self._bundler is None:
                own = bool(self.ca_bundle)
                try:
                    self._bundler = open_bundler(
                        ca_bundle=self.ca_bundle or _ROOTS,
                        int_bundle=_INTERMEDIATES if not own or Path(_INTERMEDIATES).exists() else "",
                        int_dir="",
                        metadata="",
                        journal=self.journal,
                        clock=self.clock,
                    )
                except CfsslError as bad:
                    raise Trouble(str(bad), to=self.ca_bundle or _ROOTS) from bad
            trust = self._bundler.trust
        return tuple(it for it in chain if it.is_ca and it not in trust.roots and it not in trust.intermediates)


def hosts_of_csv(path: str, hosts: Sequence[str], *, most: int) -> list[str]:
    """`hosts` and the last column of each row of a file, `most` at most. Raises Plain."""
    found = list(hosts)
    try:
        text = _read(path).decode()
        rows = [row for row in csv.reader(text.splitlines(), strict=True) if row]
    except (UnicodeError, csv.Error) as bad:
        raise Plain(f"{path}: {bad}") from bad
    for number, row in enumerate(rows, start=1):
        if len(found) >= most:
            break
        if len(row) != len(rows[0]):
            raise Plain(f"record on line {number}: wrong number of fields")
        found.append(row[-1])
    return found


def _read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as bad:
        verb = "read" if isinstance(bad, IsADirectoryError) else "open"
        raise Plain(f"{verb} {name}: {(bad.strerror or str(bad)).lower()}") from bad
