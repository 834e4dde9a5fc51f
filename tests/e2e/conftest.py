"""Fixtures of the real machines: the images they start from, and the tool with a home of its own."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tooling import IMAGES, REPOSITORY, Tool, wait_for

from kvm_action.frozen import TemplateStore
from kvm_action.paths import Home


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/e2e/" in str(item.path):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def images(request: pytest.FixtureRequest) -> Path:
    """The user's own store, with the images that the tests start from; built when it lacks them."""
    store = Home.from_environ().images
    for name in IMAGES if "slow" in request.config.option.markexpr else IMAGES[:1]:
        subprocess.run([sys.executable, "-m", "kvm_action", "image", "build", name], check=True, cwd=REPOSITORY)
    return store


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Templates are made once for all tests, as they are for all runs of a user."""
    root = tmp_path_factory.mktemp("home") / "templates"
    root.mkdir()
    yield root
    store = TemplateStore(root)
    for template in store.list():
        store.remove(template.key)
    store.sweep()


@pytest.fixture
def tool(tmp_path: Path, images: Path, templates: Path) -> Iterator[Tool]:
    home = tmp_path / "home"
    home.mkdir()
    (home / "images").symlink_to(images)
    (home / "templates").symlink_to(templates)
    used = Tool(home, tmp_path)
    yield used
    used.end()
    wait_for(lambda: not used.machines(), 5, "the machines to be gone")  # a killed QEMU may take a moment to go
    runs = home / "runs"
    assert not runs.exists() or not list(runs.iterdir()), "a run's files were left behind"
