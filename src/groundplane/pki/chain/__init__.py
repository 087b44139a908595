"""Chains of certificates: read them, build them to a root, judge them, choose the one that a server should send.

Read in this order. Words: `model`, `link` (a certificate as chains see it), `platforms`. Decisions: `signature`,
`constraints`, `hostname`, `build` (every chain there is), `score` and `rank` (which to take), `advice`, `bundle`.
Doors: `pem`, `read` (PEM, DER, PKCS#7, PKCS#12). Effects: `fetch` (HTTP, bounded), `issuers` (follow a certificate to
its issuer), `trust` (the system's roots, the stash), `peer` (a TLS server's own chain), `revocation`. CFSSL's `bundle`
and `mkbundle` stand on this in `pki.cfssl.bundle`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from groundplane.pki.chain.build import Chain, Pool, chains_of
    from groundplane.pki.chain.bundle import Bundle, assemble
    from groundplane.pki.chain.fetch import Fetcher, Limits
    from groundplane.pki.chain.hostname import check_host
    from groundplane.pki.chain.link import Link, link_of
    from groundplane.pki.chain.model import ChainRefused, Flavor, Purpose, Reason
    from groundplane.pki.chain.platforms import load_platforms
    from groundplane.pki.chain.read import Material, Unreadable, read_material, read_pem
    from groundplane.pki.chain.trust import Trust, system_roots

_HOMES = {
    "bundle": ("Bundle", "assemble"),
    "build": ("Chain", "Pool", "chains_of"),
    "fetch": ("Fetcher", "Limits"),
    "hostname": ("check_host",),
    "link": ("Link", "link_of"),
    "model": ("ChainRefused", "Flavor", "Purpose", "Reason"),
    "platforms": ("load_platforms",),
    "read": ("Material", "Unreadable", "read_material", "read_pem"),
    "trust": ("Trust", "system_roots"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Bundle",
    "Chain",
    "ChainRefused",
    "Fetcher",
    "Flavor",
    "Limits",
    "Link",
    "Material",
    "Pool",
    "Purpose",
    "Reason",
    "Trust",
    "Unreadable",
    "assemble",
    "chains_of",
    "check_host",
    "link_of",
    "load_platforms",
    "read_material",
    "read_pem",
    "system_roots",
]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
