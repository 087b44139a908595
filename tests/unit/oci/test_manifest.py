import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.errors import Invalid
from groundplane.oci import manifest
from groundplane.oci.model import chain_ids, digest_of
from tests.unit.oci import samples

GOOD = digest_of(b"layer")


@pytest.mark.parametrize(
    "bad", ["/sys", "../../etc", "sha256:../../etc", "sha256:" + "a" * 63, f"{GOOD}:/x", f"{GOOD},upperdir=/", ""]
)
def test_a_diff_id_that_is_no_digest_never_becomes_the_path_of_a_layer(bad: str) -> None:
    with pytest.raises(Invalid, match="digest"):
        manifest.parse_config(samples.config([bad]), source="test")


def test_an_image_without_layers_is_refused() -> None:
    with pytest.raises(Invalid, match="no layers"):
        manifest.parse_config(samples.config([]), source="test")


def test_a_config_says_what_runs() -> None:
    said = samples.config(
        [GOOD], User="5:6", Env=["A=b"], Entrypoint=["/e"], Cmd=None, StopSignal="SIGINT", ExposedPorts={"80/tcp": {}}
    )
    found = manifest.parse_config(said, source="test")
    assert (found.user, found.env, found.entrypoint, found.cmd) == ("5:6", ("A=b",), ("/e",), ())
    assert (found.stop_signal, found.exposed_ports, found.diff_ids) == ("SIGINT", ("80/tcp",), (GOOD,))


@given(st.binary(max_size=200) | st.recursive(st.none() | st.text(), st.lists).map(lambda v: json.dumps(v).encode()))
def test_only_invalid_escapes_the_parsers(data: bytes) -> None:
    for parse in (manifest.parse_index, manifest.parse_manifest, manifest.parse_saved, manifest.parse_config):
        with pytest.raises(Invalid):
            parse(data if data != b"[]" else b"", source="test")


def test_nesting_beyond_measure_is_invalid_and_no_crash() -> None:
    with pytest.raises(Invalid):
        manifest.parse_index(b"[" * 100_000, source="test")


def test_chain_ids_are_those_of_the_specification() -> None:
    first, second = digest_of(b"1"), digest_of(b"2")
    assert chain_ids([first]) == (first,)
    assert chain_ids([first, second]) == (first, digest_of(f"{first} {second}".encode()))


def entry(kind: str = "manifest", *, digest: str = GOOD, on: dict[str, str] | None = None) -> manifest.Descriptor:
    platform = manifest.Platform(**on) if on is not None else None
    media = f"application/vnd.oci.image.{kind}.v1+json"
    return manifest.Descriptor(media_type=media, digest=digest, size=1, platform=platform)


def test_the_plainest_variant_for_this_machine_is_chosen() -> None:
    linux = {"os": "linux", "architecture": "amd64"}
    other = entry(on={"os": "linux", "architecture": "arm64"})
    unknown = entry(on={"os": "unknown", "architecture": "unknown"})
    newest, plain = entry(on={**linux, "variant": "v4"}), entry(on=linux)
    artifact = entry("something", on=linux)
    assert manifest.choose([unknown, other, artifact, newest, plain], machine="x86_64") is plain
    assert manifest.choose([other, newest], machine="x86_64") is newest
    with pytest.raises(Invalid, match="linux/riscv64"):
        manifest.choose([unknown, other, plain], machine="riscv64")


def test_of_several_images_none_is_picked_by_chance() -> None:
    with pytest.raises(Invalid, match="2 images"):
        manifest.choose([entry(), entry(digest=digest_of(b"other"))], machine="x86_64")
    assert manifest.choose([entry(), entry()], machine="x86_64").digest == GOOD
