"""Every test under `unit/` is marked unit, every test under `lab/` lab: the folder is the marker."""

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        layer = item.path.relative_to(here).parts[0]
        item.add_marker(pytest.mark.lab if layer == "lab" else pytest.mark.unit)
