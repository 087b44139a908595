"""The package as users get it: a wheel, in a virtual environment of its own. Built and installed without any index."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*argv: str | Path, cwd: Path, **environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    done = subprocess.run(
        argv, cwd=cwd, env={**kept, **environment}, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clone = tmp_path_factory.mktemp("clone")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clone)
    shutil.copytree(ROOT / "src", clone / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation")
    run(*pip, "--wheel-dir", clone / "dist", clone, cwd=clone)
    [built] = (clone / "dist").iterdir()
    return built


@pytest.fixture(scope="module")
def bin_directory(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    venv = tmp_path_factory.mktemp("installed") / "venv"
    run(sys.executable, "-m", "venv", venv, cwd=wheel.parent)
    run(venv / "bin/pip", "install", "--quiet", "--no-index", "--no-deps", wheel, cwd=wheel.parent)
    # Its dependencies are the ones that run these tests; a line in a .pth file brings no .pth files of theirs along.
    [site] = (venv / "lib").glob("python3*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    assert run(venv / "bin/python", "-c", "import groundplane; print(groundplane.__file__)", cwd=Path("/")).startswith(
        str(venv)
    )
    return venv / "bin"


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if name.startswith("groundplane/")}
    package = ROOT / "src/groundplane"
    there = {
        f"groundplane/{path.relative_to(package)}"
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert inside == there


def test_the_installed_command_finds_the_machine_fit(bin_directory: Path) -> None:
    assert run(bin_directory / "groundplane", "--version", cwd=Path("/")).startswith("groundplane ")
    found = json.loads(run(bin_directory / "groundplane", "doctor", "-o", "json", cwd=Path("/")))
    assert found["ok"] is True, found["findings"]
    assert {"etcd", "crun", "kernel"} <= {finding["subject"] for finding in found["findings"]}


def test_the_installed_command_has_its_built_in_cluster(bin_directory: Path) -> None:
    unit = run(bin_directory / "groundplane", "etcd", "unit", "etcd1", cwd=Path("/"))
    assert "192.168.153.129:2380" in unit
    assert "create" in run(bin_directory / "groundplane", "plan", "--name", "install", cwd=Path("/"))


def test_the_installed_cni_plugin_answers_with_its_versions(bin_directory: Path) -> None:
    answer = run(bin_directory / "python", "-m", "groundplane.cni", cwd=Path("/"), CNI_COMMAND="VERSION")
    assert "1.0.0" in json.loads(answer)["supportedVersions"]
