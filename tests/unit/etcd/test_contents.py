import subprocess
import sys

import pytest

import groundplane.etcd


@pytest.mark.parametrize("name", groundplane.etcd.__all__)
def test_every_name_on_the_contents_page_is_there(name: str) -> None:
    assert getattr(groundplane.etcd, name) is not None


def test_pure_parts_load_neither_grpc_nor_cryptography() -> None:
    code = (
        "import sys, groundplane.etcd as e; e.render_unit, e.render_flags, e.TLSFiles, e.Health\n"
        "import groundplane.etcd.tables, groundplane.etcd.plan, groundplane.etcd.member\n"
        "print(sorted({'grpc', 'cryptography', 'google.protobuf'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
