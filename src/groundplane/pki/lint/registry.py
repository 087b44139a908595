"""All rules, by their names."""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache

from groundplane.pki.lint import (
    baseline_ca,
    baseline_keys,
    baseline_leaf,
    baseline_names,
    community,
    etsi,
    extended,
    rfc5280_alternative,
    rfc5280_extensions,
    rfc5280_frame,
    rfc5280_names,
    rfc_keys,
    root_programs,
)
from groundplane.pki.lint.model import Lint

# Of zlint's, but about revocation lists: a policy may name it.
ABOUT_LISTS = frozenset({"e_crl_has_next_update"})
_MODULES = (
    *(rfc5280_frame, rfc5280_names, rfc5280_alternative, rfc5280_extensions, rfc_keys),
    *(baseline_ca, baseline_leaf, baseline_names, baseline_keys, extended, root_programs, community, etsi),
)


@lru_cache(maxsize=1)
def lints() -> Mapping[str, Lint]:
    """Sorted by name."""
    return {
        lint.name: lint for lint in sorted((it for module in _MODULES for it in module.LINTS), key=lambda it: it.name)
    }


def nearest(name: str) -> str:
    """A hint for a name that is not known."""
    found = get_close_matches(name, lints(), n=1)
    return f"did you mean {found[0]!r}?" if found else "`groundplane pki lint --list` names them all"


def is_known(name: str) -> bool:
    """Whether zlint has such a rule."""
    return name in lints() or name in ABOUT_LISTS
