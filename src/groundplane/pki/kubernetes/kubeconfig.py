"""A kubeconfig with everything in it, in kubeadm's names: user@cluster."""

import base64
import binascii
from dataclasses import dataclass, field

import yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What counts of one, as PEM."""

    server: str
    ca: bytes
    certificate: bytes
    key: bytes = field(repr=False)


def render(content: Content, *, cluster: str, user: str) -> bytes:
    """The file."""
    context = f"{user}@{cluster}"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": cluster,
                "cluster": {"certificate-authority-data": _encode(content.ca), "server": content.server},
            }
        ],
        "contexts": [{"name": context, "context": {"cluster": cluster, "user": user}}],
        "current-context": context,
        "preferences": {},
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": _encode(content.certificate),
                    "client-key-data": _encode(content.key),
                },
            }
        ],
    }
    text: str = yaml.safe_dump(document, sort_keys=False)
    return text.encode()


def read(data: bytes) -> Content | None:
    """The first cluster and user of a file; None for one that is not as `render` makes them."""
    try:
        document = yaml.safe_load(data)
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        return Content(
            server=str(cluster["server"]),
            ca=base64.b64decode(cluster["certificate-authority-data"]),
            certificate=base64.b64decode(user["client-certificate-data"]),
            key=base64.b64decode(user["client-key-data"]),
        )
    except (yaml.YAMLError, KeyError, IndexError, TypeError, binascii.Error, ValueError):
        return None


def _encode(pem: bytes) -> str:
    return base64.b64encode(pem).decode()
