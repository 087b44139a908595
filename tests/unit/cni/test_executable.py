"""The thin plugin program: what it answers itself, and that it starts at all from odd places."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import groundplane
from groundplane.cni import VERSIONS, executable_text
from groundplane.cni.__main__ import main
from groundplane.errors import Invalid

pytestmark = pytest.mark.unit
ROOT = str(Path(groundplane.__file__).parent.parent)


def installed(at: Path, python: str) -> Path:
    at.write_text(executable_text(python, ROOT))
    at.chmod(0o755)
    return at


def test_version_is_answered_without_an_agent() -> None:
    document, code = main({"CNI_COMMAND": "VERSION"}, b'{"cniVersion": "1.0.0"}')
    assert (code, document["cniVersion"], document["supportedVersions"]) == (0, "1.0.0", list(VERSIONS))


def test_an_absent_agent_is_try_again_later(tmp_path: Path) -> None:
    conf = {"cniVersion": "1.0.0", "agentSocket": str(tmp_path / "none")}
    document, code = main({"CNI_COMMAND": "ADD"}, json.dumps(conf).encode())
    assert (code, document["code"], document["cniVersion"]) == (1, 11, "1.0.0")


@pytest.mark.parametrize(("stdin", "expected"), [(b"{", 6), (b"[]", 6), (b"{}", 4)])
def test_bad_input_has_the_specifications_codes(stdin: bytes, expected: int) -> None:
    assert main({}, stdin)[0]["code"] == expected


@pytest.mark.parametrize("where", ["plain", "with blanks in it", "l" * 140])
def test_the_program_runs_with_an_interpreter_anywhere(tmp_path: Path, where: str) -> None:
    directory = tmp_path / where
    directory.mkdir()
    (directory / "python").symlink_to(shutil.which(sys.executable) or sys.executable)
    program = installed(tmp_path / "groundplane", str(directory / "python"))
    done = subprocess.run([program], env={"CNI_COMMAND": "VERSION"}, input=b"", capture_output=True, check=True)
    assert json.loads(done.stdout)["supportedVersions"] == list(VERSIONS)


def test_the_program_imports_nothing_heavy(tmp_path: Path) -> None:
    program = installed(tmp_path / "groundplane", sys.executable)
    text = program.read_text().replace("run()\n", "import groundplane.cni\nprint(*sys.modules)\n")
    done = subprocess.run([sys.executable, "-ISE", "-c", text], capture_output=True, check=True, text=True)
    assert not {"asyncio", "typing", "ipaddress", "dataclasses", "pathlib", "subprocess"} & set(done.stdout.split())


@pytest.mark.parametrize("python", ["python3", "/bin/py\nthon", "/odd 'quote/python"])
def test_a_path_that_no_first_line_can_carry_is_refused(python: str) -> None:
    with pytest.raises(Invalid):
        executable_text(python, ROOT)
