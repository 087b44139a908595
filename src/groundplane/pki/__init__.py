"""The certificate authority, in CFSSL's role: its files are read as they stand, its certificates come out.

A certificate, in this order. Words: `name`, `model`. Decisions: `hosts` (what kind of name), `namerules` (which names),
`policy` (request and profile to plan), `signing` (the same for PEM requests), `lifecycle` (may it stay?), `seen` (a
certificate to words), `description` (to a table's row). Doors: `wire` (CFSSL's JSON), `load`. Makers: `keys`, `race`
(large keys sooner), `certificate` (plan to X.509), `assemble` and `der` (sooner still), `csr`, `signer`, `authority`.
Effect: `files`.

Around it. What was issued and revoked: `certdb`, `crl`, `ocsp`, `operators` (audit, metrics). Whom to believe: `chain`,
`ct`, `lint` (rules). Again and again: `report`, `renewal`, `kubernetes` (a cluster's whole set). Over a network:
`server` (CFSSL's HTTP API), `service` (the same, hardened), `multiroot`, `remote` (its clients), `acme`. `cfssl` is
CFSSL's own programs.

Names here are loaded when first used: parsing a policy does not load `cryptography`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from groundplane.pki.authority import Authority, Issued
    from groundplane.pki.description import Description, describe
    from groundplane.pki.files import PairPaths, observe_pair, write_pair, write_root
    from groundplane.pki.keys import dump_key, generate, load_key
    from groundplane.pki.lifecycle import Issue, Keep, Refuse, assess, assess_root, renewal_time
    from groundplane.pki.model import (
        CertificatePlan,
        CertificateRequest,
        KeySpec,
        Profile,
        SeenCertificate,
        SeenPair,
        SigningPolicy,
    )
    from groundplane.pki.policy import client_profile, client_request, plan_certificate, plan_root, tls_profile
    from groundplane.pki.race import KeyRace, generate_fast
    from groundplane.pki.seen import load_certificate, see
    from groundplane.pki.signer import LocalSigner, Signer
    from groundplane.pki.wire import parse_policy, parse_request

_HOMES = {
    "authority": ("Authority", "Issued"),
    "description": ("Description", "describe"),
    "files": ("PairPaths", "observe_pair", "write_pair", "write_root"),
    "keys": ("dump_key", "generate", "load_key"),
    "lifecycle": ("Issue", "Keep", "Refuse", "assess", "assess_root", "renewal_time"),
    "model": (
        *("CertificatePlan", "CertificateRequest", "KeySpec", "Profile", "SeenCertificate", "SeenPair"),
        "SigningPolicy",
    ),
    "policy": ("client_profile", "client_request", "plan_certificate", "plan_root", "tls_profile"),
    "race": ("KeyRace", "generate_fast"),
    "seen": ("load_certificate", "see"),
    "signer": ("LocalSigner", "Signer"),
    "wire": ("parse_policy", "parse_request"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Authority",
    "CertificatePlan",
    "CertificateRequest",
    "Description",
    "Issue",
    "Issued",
    "Keep",
    "KeyRace",
    "KeySpec",
    "LocalSigner",
    "PairPaths",
    "Profile",
    "Refuse",
    "SeenCertificate",
    "SeenPair",
    "Signer",
    "SigningPolicy",
    "assess",
    "assess_root",
    "client_profile",
    "client_request",
    "describe",
    "dump_key",
    "generate",
    "generate_fast",
    "load_certificate",
    "load_key",
    "observe_pair",
    "parse_policy",
    "parse_request",
    "plan_certificate",
    "plan_root",
    "renewal_time",
    "see",
    "tls_profile",
    "write_pair",
    "write_root",
]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
