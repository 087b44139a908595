"""What the TLS of a server is worth, tried from outside: CFSSL's families of scanners, and one for what came after.

Read in this order. Words: `model` (grades, results), `registry` (suites, groups, signatures and their names), `pattern`
(which scanners are wanted: RE2's grammar in linear time). TLS without sockets: `hello` (a client's first words),
`flight` (a server's, up to its certificates), `schedule` (TLS 1.3's keys, to read those). Effects: `line` (one server,
for one scan, with a deadline), `ask` (say hello, hear what comes back), `handshake` (the whole of it, by OpenSSL).
Families: `connectivity`, `negotiation`, `sessions`, `chains`, `broad`, `modern`; `families` lists them, `run` runs
them, `spread` works on many servers at once. CFSSL's command and endpoints stand on this in `pki.cfssl.scan`.

The hello is our own because Python's OpenSSL refuses to say half of what is to be tried: SSL 3.0, old suites, one
signature algorithm alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from groundplane.pki.scan.families import FAMILIES
    from groundplane.pki.scan.line import Line, Site, open_line
    from groundplane.pki.scan.model import Family, Found, Grade, Scanner
    from groundplane.pki.scan.pattern import BadPattern, Pattern
    from groundplane.pki.scan.run import run_scans

_HOMES = {
    "families": ("FAMILIES",),
    "line": ("Line", "Site", "open_line"),
    "model": ("Family", "Found", "Grade", "Scanner"),
    "pattern": ("BadPattern", "Pattern"),
    "run": ("run_scans",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "FAMILIES",
    "BadPattern",
    "Family",
    "Found",
    "Grade",
    "Line",
    "Pattern",
    "Scanner",
    "Site",
    "open_line",
    "run_scans",
]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
