"""What CONTRIBUTING promises of the source is held here: form, lint, types, and which way imports point."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str) -> None:
    """Run a checker over the tree; its words are the failure's."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_source_is_formatted() -> None:
    run(sys.executable, "-m", "ruff", "format", "--check")


def test_the_source_has_no_lint() -> None:
    run(sys.executable, "-m", "ruff", "check")


@pytest.mark.timeout(300)
def test_the_types_are_strict() -> None:
    run(sys.executable, "-m", "mypy")


def test_imports_point_one_way() -> None:
    run(str(Path(sys.executable).with_name("lint-imports")))


def test_no_file_names_a_machine_or_a_registry() -> None:
    # Found by kind, not by name, so that no such name stands here either: absolute links to package indexes.
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False).stdout
    for name in filter(None, listed.decode().split("\0")):
        path = ROOT / name
        if path.suffix in {".lock", ".toml", ".cfg"} and path.is_file():
            assert "--index-url" not in path.read_text().replace("--no-emit-index-url", ""), name
            assert "://" not in path.read_text() or path.name == "pyproject.toml", name
