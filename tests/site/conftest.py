"""A site of forty runs on both backends, some of them hostile, and a browser to look at it."""

import sys
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import histories
import pytest
import samples

from kvm_action import proc
from kvm_action.history.store import History

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# only `make test-site` installs it
collect_ignore = [] if find_spec("playwright") else ["test_browser.py"]

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site's folder, in a folder of its own: over http it is below a path."""
    folder = tmp_path_factory.mktemp("site")
    histories.fill(folder / "history", 120)
    broken = histories.run_at(0, 12.0, base=samples.hostile_run(), every=timedelta(days=900))
    History(folder / "history").add(histories.entry(broken, console_tail=(samples.HOSTILE,)))
    made = folder / "www/kvm-e2e"
    argv = [
        sys.executable,
        "-m",
        "kvm_action",
        "site",
        "build",
        "--strict",
        "--in",
        folder / "history",
        "--to",
        made,
    ]
    ended = proc.run(argv, timeout=timedelta(minutes=3))
    assert ended.ok, ended.stderr
    if "made without" in ended.stderr:
        pytest.skip("needs npm, for the charts")
    return made


@pytest.fixture(scope="session")
def served(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site.parent))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{site.name}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session", params=["http", "file"])
def base(request: pytest.FixtureRequest, site: Path, served: str) -> str:
    return served if request.param == "http" else f"{site.as_uri()}/"


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    from playwright.sync_api import sync_playwright

    if not CHROMIUM.exists():
        pytest.skip("needs chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()
