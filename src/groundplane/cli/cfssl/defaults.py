"""`cfssl print-defaults` and `cfssl version`."""

import json

from groundplane.cli.cfssl.context import Context
from groundplane.cli.cfssl.main import version_lines

_YEAR = "8760h"
_CONFIG = {
    "signing": {
        "default": {"expiry": "168h"},
        "profiles": {
            "www": {"expiry": _YEAR, "usages": ["signing", "key encipherment", "server auth"]},
            "client": {"expiry": _YEAR, "usages": ["signing", "key encipherment", "client auth"]},
        },
    }
}
_CSR = {
    "CN": "example.net",
    "hosts": ["example.net", "www.example.net"],
    "key": {"algo": "ecdsa", "size": 256},
    "names": [{"C": "US", "ST": "CA", "L": "San Francisco"}],
}
_FILES = {"config": _CONFIG, "csr": _CSR}


def print_defaults(context: Context) -> str:
    """A file to begin with, or the names of those there are."""
    name = context.pop()
    if name in _FILES:
        return json.dumps(_FILES[name], indent=4) + "\n\n"
    return "\n".join(["Default configurations are available for:", *(f"\t{name}" for name in _FILES)]) + "\n"


def version(_context: Context) -> str:
    """Version and runtime."""
    return version_lines()
