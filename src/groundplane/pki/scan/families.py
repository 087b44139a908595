"""All families by name: CFSSL's five, and Modern."""

from collections.abc import Mapping

from groundplane.pki.scan import broad, chains, connectivity, modern, negotiation, sessions
from groundplane.pki.scan.model import Family

FAMILIES: Mapping[str, Family] = {
    "Broad": broad.FAMILY,
    "Connectivity": connectivity.FAMILY,
    "Modern": modern.FAMILY,
    "PKI": chains.FAMILY,
    "TLSHandshake": negotiation.FAMILY,
    "TLSSession": sessions.FAMILY,
}


def about() -> dict[str, object]:
    """What there is, as CFSSL's JSON."""
    return {
        name: {
            "description": family.description,
            "scanners": {each: {"description": scanner.description} for each, scanner in family.scanners.items()},
        }
        for name, family in FAMILIES.items()
    }
