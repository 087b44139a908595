"""Names that more than one package speaks, each a `NewType` minted only by its parser here.

Parsers say what they refuse. A name that passed its parser is safe as a path component, an etcd key segment and an
argument of a program: none begins with `-` or `.`, none holds `/`, white space or a control character.
"""

import re
from typing import NewType

from groundplane.errors import Invalid

HostName = NewType("HostName", str)
ClusterName = NewType("ClusterName", str)
PodName = NewType("PodName", str)

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LABEL_RULE = "use 1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit (RFC 1123)"


def _label(text: str, what: str, at: str) -> str:
    if not _LABEL.fullmatch(text):
        raise Invalid(f"{text!r} is not a {what}", to=at, hint=_LABEL_RULE)
    return text


def parse_host_name(text: str, *, at: str = "host name") -> HostName:
    """One RFC 1123 label. Refuses upper case, dots, underscores, an empty or over-long name."""
    return HostName(_label(text, "host name", at))


def parse_cluster_name(text: str, *, at: str = "cluster name") -> ClusterName:
    """One RFC 1123 label of at most 30 characters, since names of cgroups and sockets are made from it."""
    if len(text) > 30:  # noqa: PLR2004 - sun_path is 108 bytes: /run/groundplane/<30>/<63>/… must fit
        raise Invalid(f"{text!r} is longer than 30 characters", to=at, hint="choose a shorter name")
    return ClusterName(_label(text, "cluster name", at))


def parse_pod_name(text: str, *, at: str = "pod name") -> PodName:
    """One RFC 1123 label."""
    return PodName(_label(text, "pod name", at))
