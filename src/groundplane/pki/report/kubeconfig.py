"""The certificates of a kubeconfig: inline (base64 of PEM), or in files that it names, relative to its own place."""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

_KIND = re.compile(rb"""^\s*["']?kind["']?\s*:\s*["']?Config\b|"kind"\s*:\s*"Config\"""", re.MULTILINE)
_LARGEST = 8 << 20  # bytes
_PLACES = (("clusters", "cluster", "certificate-authority"), ("users", "user", "client-certificate"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one field holds, as PEM; or `trouble`, a sentence."""

    name: str
    data: bytes = b""
    trouble: str = ""


def is_kubeconfig(data: bytes) -> bool:
    """Whether it says that it is one."""
    return b"apiVersion" in data and _KIND.search(data) is not None


def parts(data: bytes, *, directory: Path) -> Iterator[Part]:
    """Every certificate field of it, by name (`users[admin].client-certificate-data`)."""
    try:
        document = yaml.safe_load(data)
    except (yaml.YAMLError, RecursionError) as bad:
        yield Part(name="kubeconfig", trouble=f"it is not YAML: {str(bad).splitlines()[0]}")
        return
    for group, inner, field in _PLACES:
        for entry in _sequence(_mapping(document).get(group)):
            outer = _mapping(entry)
            about, label = _mapping(outer.get(inner)), f"{group}[{outer.get('name', '?')}]"
            if isinstance(inline := about.get(f"{field}-data"), str):
                yield _inline(inline, f"{label}.{field}-data")
            elif isinstance(named := about.get(field), str):
                yield _file(directory / named, f"{label}.{field}")


def _inline(text: str, name: str) -> Part:
    try:
        return Part(name=name, data=base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as bad:
        return Part(name=name, trouble=f"it is not base64: {bad}")


def _file(path: Path, name: str) -> Part:
    try:
        if not path.is_file():  # neither a device nor a pipe, which have no end
            return Part(name=name, trouble=f"there is no file {path}")
        with path.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
    except OSError as bad:
        return Part(name=name, trouble=f"{path} cannot be read: {bad.strerror or bad}")
    if len(data) > _LARGEST:
        return Part(name=name, trouble=f"{path} has more than {_LARGEST >> 20} MiB, and is not read")
    return Part(name=name, data=data)


def _mapping(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _sequence(value: object) -> list[object]:
    return value if isinstance(value, list) else []
