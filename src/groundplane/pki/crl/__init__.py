"""Certificate revocation lists: CFSSL's, and RFC 5280's with number, reasons and distribution point.

Read in this order. Words: `model`. Decisions: `plan` (what belongs on a list). Makers: `build` (a plan to DER),
`rfc5280` (what both kinds have, and who may sign). Names here are loaded when first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from groundplane.pki.crl.model import CrlPlan, Revoked, Scope
    from groundplane.pki.crl.plan import plan_of_rows, plan_of_serials
    from groundplane.pki.crl.rfc5280 import cfssl_list, in_scope, issued_by, signed_list

_HOMES = {
    "model": ("CrlPlan", "Revoked", "Scope"),
    "plan": ("plan_of_rows", "plan_of_serials"),
    "rfc5280": ("cfssl_list", "in_scope", "issued_by", "signed_list"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "CrlPlan",
    "Revoked",
    "Scope",
    "cfssl_list",
    "in_scope",
    "issued_by",
    "plan_of_rows",
    "plan_of_serials",
    "signed_list",
]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
