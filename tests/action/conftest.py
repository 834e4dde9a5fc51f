"""Fixtures of the action: a copy of it, a home that it keeps its environment in, and projects that use it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from act import NODE_MODULES, Project, copy_of_action

from kvm_action.paths import Home


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/tests/action/" in str(item.path):
            item.add_marker(pytest.mark.action)


@pytest.fixture(scope="session")
def node_modules() -> Path:
    assert (NODE_MODULES / "@actions/artifact").is_dir(), "run `make test-action`: it installs GitHub's libraries"
    return NODE_MODULES


@pytest.fixture(scope="session")
def action(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the action."""
    return copy_of_action(tmp_path_factory.mktemp("action"))


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tool keeps its environment during all of these tests, with the user's images, built if need be."""
    subprocess.run([sys.executable, "-m", "kvm_action", "image", "build", "debian-12"], check=True)
    home = tmp_path_factory.mktemp("home")
    (home / "images").symlink_to(Home.from_environ().images)
    return home


@pytest.fixture
def project(tmp_path: Path, action: Path, home: Path, node_modules: Path) -> Iterator[Project]:
    """A project; afterwards nothing of its runs is left."""
    yield Project(tmp_path, action, home)
    runs = home / "runs"
    assert not runs.exists() or not list(runs.iterdir()), "a run's files were left behind"
