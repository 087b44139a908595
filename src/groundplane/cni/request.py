"""A plugin call's environment and standard input, checked once (CNI specification 1.1, section 2).

| command | needs | besides |
|---|---|---|
| ADD | CONTAINERID, NETNS, IFNAME | |
| CHECK | CONTAINERID, NETNS, IFNAME | version 0.4.0 or later, `prevResult` |
| DEL | CONTAINERID, IFNAME | NETNS may be empty: the namespace is gone |
| GC | PATH | version 1.1.0, `cni.dev/valid-attachments` |
| STATUS | | version 1.1.0 |
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from groundplane.cni.errors import BAD_ENVIRONMENT
from groundplane.cni.model import InvalidConfig, NetConf, VersionRefused, version_key
from groundplane.errors import Invalid

_CONTAINER_ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_LONGEST_IFNAME = 15  # IFNAMSIZ less the NUL
_NEEDS = {
    "ADD": ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"),
    "CHECK": ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"),
    "DEL": ("CNI_CONTAINERID", "CNI_IFNAME"),
    "GC": ("CNI_PATH",),
    "STATUS": (),
}
_SINCE = {"CHECK": "0.4.0", "GC": "1.1.0", "STATUS": "1.1.0"}


class BadEnvironment(Invalid):
    """A CNI_ variable is missing or malformed."""

    code = BAD_ENVIRONMENT


class Command(Enum):
    """What is asked. VERSION never reaches the agent."""

    ADD = "ADD"
    DEL = "DEL"
    CHECK = "CHECK"
    GC = "GC"
    STATUS = "STATUS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One checked call. `container_id` and `ifname` are empty for GC and STATUS; `netns` None: it is gone."""

    command: Command
    conf: NetConf
    container_id: str = ""
    netns: Path | None = None
    ifname: str = ""
    args: Mapping[str, str]

    @property
    def pod(self) -> tuple[str, str] | None:
        """(namespace, name) of a Kubernetes pod, where both are told."""
        name, namespace = self.args.get("K8S_POD_NAME", ""), self.args.get("K8S_POD_NAMESPACE", "")
        return (namespace, name) if name and namespace else None


def parse_request(command: str, env: Mapping[str, str], config: object) -> Request:
    """Raises BadEnvironment (naming every variable at fault), InvalidConfig and VersionRefused."""
    if command not in _NEEDS:
        raise BadEnvironment(f"CNI_COMMAND {command!r} is not one", to="environment", hint=f"use {', '.join(_NEEDS)}")
    missing = [name for name in _NEEDS[command] if not env.get(name)]
    if missing:
        raise BadEnvironment(f"{', '.join(missing)} must be set for {command}", to="environment")
    conf = NetConf.parse(config)
    since = _SINCE.get(command)
    if since is not None and version_key(conf.version) < version_key(since):
        raise VersionRefused(f"{command} came with {since}, not {conf.version}", to="cniVersion")
    if command == "CHECK" and conf.prev_result is None:
        raise InvalidConfig("CHECK needs the result of ADD", to="network configuration.prevResult")
    if command == "GC" and conf.valid_attachments is None:
        raise InvalidConfig("GC needs the list", to="network configuration.cni.dev/valid-attachments")
    named = "CNI_CONTAINERID" in _NEEDS[command]
    netns = env.get("CNI_NETNS", "")
    return Request(
        command=Command(command),
        conf=conf,
        container_id=_container_id(env["CNI_CONTAINERID"]) if named else "",
        netns=_absolute(netns) if named and netns else None,
        ifname=check_ifname(env["CNI_IFNAME"]) if named else "",
        args=parse_args(env.get("CNI_ARGS", "")),
    )


def parse_args(text: str) -> dict[str, str]:
    """`K=V;K=V`. Refuses a piece without `=`; an empty text is no arguments."""
    found: dict[str, str] = {}
    for piece in filter(None, text.split(";")):
        key, equals, value = piece.partition("=")
        if not equals or not key:
            raise BadEnvironment(f"{piece!r} is not KEY=VALUE", to="CNI_ARGS")
        found[key] = value
    return found


def check_ifname(text: str) -> str:
    """An interface name as the kernel takes it: at most 15 bytes; not `.` or `..`; no `/`, `:` or white space."""
    bad = any(character in "/:" or character.isspace() or not character.isprintable() for character in text)
    if not text or len(text.encode()) > _LONGEST_IFNAME or text in {".", ".."} or bad:
        raise BadEnvironment(f"{text!r} is not an interface name", to="CNI_IFNAME")
    return text


def _container_id(text: str) -> str:
    if not _CONTAINER_ID.fullmatch(text):
        hint = "begin with a letter or digit, then use those and _ . -"
        raise BadEnvironment(f"{text!r} is not a container id", to="CNI_CONTAINERID", hint=hint)
    return text


def _absolute(text: str) -> Path:
    if not text.startswith("/") or "\0" in text:
        raise BadEnvironment(f"{text!r} is not an absolute path", to="CNI_NETNS")
    return Path(text)
