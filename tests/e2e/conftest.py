"""Fixtures of the real machines: the images they start from, and the tool with a home of its own."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tooling import IMAGES, REPOSITORY, Tool, wait_for

from kvm_action.paths import Home


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/e2e/" in str(item.path):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def images(request: pytest.FixtureRequest) -> Path:
    """The user's own store, with the images that the tests start from; built when it lacks them."""
    store = Home.from_environ().images
    for name in IMAGES if request.config.option.markexpr == "slow" else IMAGES[:1]:
        subprocess.run([sys.executable, "-m", "kvm_action", "image", "build", name], check=True, cwd=REPOSITORY)
    return store


@pytest.fixture
def tool(tmp_path: Path, images: Path) -> Iterator[Tool]:
    home = tmp_path / "home"
    home.mkdir()
    (home / "images").symlink_to(images)
    used = Tool(home, tmp_path)
    yield used
    wait_for(lambda: not used.machines(), 5, "the machines to be gone")  # a killed QEMU may take a moment to go
    runs = home / "runs"
    assert not runs.exists() or not list(runs.iterdir()), "a run's files were left behind"
