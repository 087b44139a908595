"""The file of roots: `[ label ]`, `key = value`, `#` at the start of a line.

Quotes around a value keep its blanks; keys before any section belong to `default`; the last of several wins. Anything
else is refused.
"""

import re
from collections.abc import Mapping

from groundplane.pki.cfssl.errors import Plain

DEFAULT_SECTION = "default"
_SECTION = re.compile(r"\s*\[\s*(\w+)\s*\]\s*", re.ASCII)
_QUOTED = re.compile(r"\s*(\w+)\s*=\s*[\"'](.*)[\"']\s*", re.ASCII)
_LINE = re.compile(r"\s*(\w+)\s*=\s*(.*)", re.ASCII)
_MOST_ROOTS = 1000


def parse_roots(text: str) -> dict[str, Mapping[str, str]]:
    """The keys of each section, in the file's order. Raises Plain."""
    found: dict[str, dict[str, str]] = {}
    current = ""
    for written in text.split("\n"):
        line = written.removesuffix("\r")
        if line.startswith("#") or not line.strip():
            continue
        if section := _SECTION.fullmatch(line):
            current = section[1]
            found.setdefault(current, {})
        elif pair := _QUOTED.fullmatch(line) or _LINE.fullmatch(line):
            current = current or DEFAULT_SECTION
            found.setdefault(current, {})[pair[1]] = pair[2]
        else:
            raise Plain("invalid config file")
    if len(found) > _MOST_ROOTS:
        raise Plain(f"invalid config file: more than {_MOST_ROOTS} roots")
    return dict(found)
