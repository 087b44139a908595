"""JSON Schemas (2020-12) of every file that people write for the certificate commands, for editors and for checks.

What a schema cannot say (that two fields fit together, that a name is one) the commands themselves do. Fields match in
any letter case, as CFSSL's do, and the schemas know the documented one.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from groundplane.errors import NotFound

# Name of the schema, and the file it is for.
NAMES: Mapping[str, str] = {
    "request": "a CSR JSON, such as ca-csr.json",
    "policy": "a signing policy, such as ca-config.json",
    "database": "a db-config",
    "kubernetes": "the cluster of `pki kubernetes`",
    "renewer": "the file of `pki renewer`",
    "serve": "the file of `pki serve`",
    "acme": "the file of `pki acme`",
    "identity": "the identity of `pki transport`",
}


def text(name: str) -> str:
    """The schema of that name. Raises NotFound."""
    if name not in NAMES:
        raise NotFound("there is no such schema", to=name, hint=f"known here: {', '.join(NAMES)}")
    return (Path(__file__).parent / f"{name}.json").read_text()


def schema(name: str) -> dict[str, object]:
    """The same as a value. Raises NotFound."""
    found: dict[str, object] = json.loads(text(name))
    return found
