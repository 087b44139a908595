"""`mkbundle`: a pool of the certificates of files and directories. Exits 0 whatever happens, as CFSSL's does."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from groundplane.pki.cfssl.flags import BadFlags, Flag, HelpWanted, Kind, parse
from groundplane.pki.cfssl.journal import Journal

_OK, _USAGE = 0, 2
_FLAGS = {
    "f": Flag("f", Kind.TEXT, "cert-bundle.crt", "path to store certificate bundle"),
    "nw": Flag("nw", Kind.INT, "4", "number of workers"),
}
_USAGE_TEXT = """\
Usage of mkbundle:
  -f string
    \tthe file to write (default "cert-bundle.crt")
  -nw int
    \tfiles to look at together (default 4)
"""


def run(words: list[str]) -> int:
    """Walk the arguments, write what is alive and not revoked."""
    try:
        values, paths = parse(words, _FLAGS)
    except HelpWanted:
        sys.stderr.write(_USAGE_TEXT)
        return _OK
    except BadFlags as bad:
        sys.stderr.write(f"{bad.line}\n{_USAGE_TEXT}")
        return _USAGE
    journal = Journal(write=sys.stderr.write, clock=datetime.now)
    workers = values["nw"]
    assert isinstance(workers, int)
    _write(str(values["f"]), paths, workers, journal)
    return _OK


def _write(name: str, paths: list[str], workers: int, journal: Journal) -> None:
    from groundplane.pki.cfssl.pool import PoolMaker
    from groundplane.pki.chain.fetch import Fetcher
    from groundplane.pki.chain.revocation import Revocations

    fetcher = Fetcher()
    maker = PoolMaker(
        journal=journal,
        fetcher=fetcher,
        revocations=Revocations(fetcher=fetcher),
        clock=lambda: datetime.now(UTC),
    )
    try:
        with Path(name).open("w") as file:  # at once, as CFSSL: what stood there is of no more use
            total = 0
            for it in maker.certificates(paths, min(workers, 64)):
                file.write(it.pem)
                total += 1
    except OSError as bad:
        journal.error(f"open {name}: {(bad.strerror or str(bad)).lower()}")
        return
    journal.info(f"Wrote {total} certificates.")
