"""CFSSL's own files, read verbatim: `policy` is ca-config.json, `request` is the CSR JSON.

`json_tree` is JSON that knows its paths, `duration` Go's durations. Strict by default: what CFSSL ignores in silence
(an unknown field, usage or profile) is refused with the nearest valid name; `strict=False` ignores it as CFSSL does.
Only Invalid is raised.
"""

from groundplane.pki.wire.policy import parse_policy
from groundplane.pki.wire.request import parse_request

__all__ = ["parse_policy", "parse_request"]
