"""libcni's cache of what an ADD was asked and answered, in libcni's own files, so that a node may change runtimes.

`<directory>/<network>-<container id>-<interface>`, kind `cniCacheV1`. DEL and CHECK use what ADD was given, even when
the configuration on disk has changed or vanished since. Files are 0600: args and capabilities may hold secrets.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundplane.cni.model import Attachment
from groundplane.system import files

DIRECTORY = Path("/var/lib/cni/results")
_KIND = "cniCacheV1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cached:
    """One ADD: the list's text as it was, the attachment, and the raw result."""

    config: bytes
    attachment: Attachment
    result: Mapping[str, Any]


class ResultCache:
    """The files in `directory`."""

    def __init__(self, directory: Path = DIRECTORY) -> None:
        self.directory = directory

    def _path(self, network: str, container_id: str, ifname: str) -> Path:
        return self.directory / f"{network}-{container_id}-{ifname}"

    def put(self, network: str, entry: Cached) -> None:
        """Write after a successful ADD."""
        files.ensure_directory(self.directory, mode=files.PRIVATE_DIR)
        at = entry.attachment
        document: dict[str, Any] = {
            "kind": _KIND,
            "containerId": at.container_id,
            "config": base64.b64encode(entry.config).decode(),
            "ifName": at.ifname,
            "networkName": network,
            "netns": "" if at.netns is None else str(at.netns),
            "cniArgs": [list(pair) for pair in at.args],
            "capabilityArgs": dict(at.capabilities),
            "result": dict(entry.result),
        }
        path = self._path(network, at.container_id, at.ifname)
        # Not synced to disk: after a power cut no container is left that this entry could describe.
        files.replace(path, json.dumps(document).encode(), mode=files.PRIVATE, durable=False)

    def get(self, network: str, container_id: str, ifname: str) -> Cached | None:
        """What was written; None where nothing readable is there, which DEL must survive."""
        raw = files.read_optional(self._path(network, container_id, ifname))
        if raw is None:
            return None
        try:
            document = json.loads(raw)
            if document.get("kind") != _KIND:
                return None
            netns = document.get("netns")
            return Cached(
                config=base64.b64decode(document["config"], validate=True),
                attachment=Attachment(
                    container_id=document["containerId"],
                    netns=Path(netns) if netns else None,
                    ifname=document["ifName"],
                    args=tuple((str(key), str(value)) for key, value in document.get("cniArgs") or ()),
                    capabilities=dict(document.get("capabilityArgs") or {}),
                ),
                result=dict(document.get("result") or {}),
            )
        except (ValueError, TypeError, KeyError, AttributeError, binascii.Error):
            return None  # torn or foreign: the caller's own configuration is the next best truth

    def remove(self, network: str, container_id: str, ifname: str) -> None:
        """Forget it after a successful DEL; already gone is fine."""
        self._path(network, container_id, ifname).unlink(missing_ok=True)
