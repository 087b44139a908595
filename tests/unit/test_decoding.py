"""Bytes that are no UTF-8, and brackets without an end, are refused at every door that reads JSON with msgspec."""

from collections.abc import Callable
from pathlib import Path

import pytest

from groundplane.errors import GroundplaneError
from groundplane.network.config import parse_config as parse_agent
from groundplane.network.ipam.keys import decode_config
from groundplane.network.resources.document import ResourceKey, decode
from groundplane.nftables.parse import parse_tables
from groundplane.oci.manifest import parse_index
from groundplane.pki.certdb import read_database_config
from groundplane.pki.chain.platforms import load_platforms
from groundplane.runtime.config import parse as parse_runtime

HOSTILE = (
    b"\xff",
    b'"\xff"',
    b'{"socket": "\xff", "strict_affinity": "\xff", "etcd": "\xff", "driver": "\xff", "kind": 1, "nftables": "\xff"}',
    b'[{"name": "\xff"}]',
    b"[" * 100_000,
    b'{"a":' * 100_000,
)


def platforms(data: bytes) -> object:
    path = Path("metadata.json")
    path.write_bytes(data)
    return load_platforms(path)


DOORS: dict[str, Callable[[bytes], object]] = {
    "agent": lambda data: parse_agent(data, at="x"),
    "ipam": decode_config,
    "resource": lambda data: decode(ResourceKey("IPPool", "p"), data, revision=1),
    "nftables": parse_tables,
    "image": lambda data: parse_index(data, source="x"),
    "database": lambda data: read_database_config(data, source="x"),
    "platforms": platforms,
    "runtime": lambda data: parse_runtime(data, at="x"),
}


@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("door", DOORS)
def test_it_is_refused(door: str, data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GroundplaneError):
        DOORS[door](data)
