"""Sessions with real RDP servers: xrdp as Debian has it, through SSH, and FreeRDP's own, which wants NLA."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from fakes import FakeGuest
from PIL import Image
from rdp_servers import (
    PASSWORD,
    USER,
    Xrdp,
    missing_for_nla,
    missing_for_xrdp,
    nt_hash_of,
    shadow,
    xrdp,
)

from kvm_action.checks import run_checks
from kvm_action.checks.rdp.picture import content_of
from kvm_action.guest import Guest
from kvm_action.plan.rdp_check import RdpCheck
from kvm_action.results import CheckOutcome, CheckResult
from kvm_action.wait import Deadline, until
from kvm_action.work_folder import remove_abandoned_scratch

pytestmark = pytest.mark.integration
needs_xrdp = pytest.mark.skipif(bool(missing_for_xrdp()), reason=missing_for_xrdp())

SHARED_MEMORY = Path("/dev/shm")
TERMINAL = "exec xterm -geometry 80x24+100+100 -e 'ls -la /; sleep 1000'\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Xrdp]:
    with xrdp(tmp_path_factory.mktemp("xrdp")) as running:
        yield running


@pytest.fixture(autouse=True)
def leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither programs nor files of a session; these are made in a folder of the test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    assert until(lambda: not programs(tmp_path), Deadline(timedelta(seconds=5))), programs(tmp_path)
    assert not list(tmp_path.glob("kvm-e2e-*"))


def programs(folder: Path) -> set[str]:
    """Which programs of a session in ``folder`` run."""
    mark, found = f"{folder}/kvm-e2e-rdp-", set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_text(errors="replace").split("\0")
            found |= {Path(words[0]).name} if any(mark in word for word in words) else set()
    return found


def examine(guest: Guest, folder: Path, port: int, seconds: float = 60, **keys: object) -> CheckResult:
    check = RdpCheck.model_validate({"port": port, "timeout": timedelta(seconds=seconds), **keys})
    (result,) = run_checks(
        guest, [check], folder=folder, on_result=lambda _result: None, screenshots=folder / "screenshots"
    )
    return result


def log_in(server: Xrdp, folder: Path, password: str = PASSWORD, seconds: float = 60) -> CheckResult:
    return examine(server.guest, folder, server.port, seconds, user=USER, password=password)


# --- xrdp


@needs_xrdp
def test_xrdp_as_debian_has_it_offers_tls_and_plain_rdp_and_no_nla(server: Xrdp, tmp_path: Path) -> None:
    result = examine(server.guest, tmp_path, server.port)
    assert result.outcome is CheckOutcome.PASSED
    assert result.actual.startswith("offers TLS, plain RDP security, certificate of CN=vps, self-signed")
    assert "does not offer NLA" in examine(server.guest, tmp_path, server.port, nla=True).message


@needs_xrdp
def test_xrdp_without_a_usable_certificate_fails_and_an_expired_one_too(server: Xrdp, tmp_path: Path) -> None:
    assert "offers plain RDP security only" in examine(server.guest, tmp_path, server.plain).message
    assert examine(server.guest, tmp_path, server.plain, tls=False).outcome is CheckOutcome.PASSED
    assert "expired on" in examine(server.guest, tmp_path, server.expired).message


@needs_xrdp
def test_a_desktop_that_comes_up_passes_with_its_picture_and_again_when_it_is_taken_up(
    server: Xrdp, tmp_path: Path
) -> None:
    server.start_session_with(TERMINAL)
    shared = set(SHARED_MEMORY.glob("com.freerdp.*"))
    for name in ("rdp-developer.png", "rdp-developer-2.png"):
        result = log_in(server, tmp_path)
        assert result.outcome is CheckOutcome.PASSED, result.message
        assert f"in screenshots/{name}" in result.actual
        with Image.open(tmp_path / "screenshots" / name) as picture:
            assert picture.size == (1280, 800)
            assert picture.getpixel((300, 380)) == (255, 255, 255), "the terminal is not where it was put"
            assert not content_of(picture.convert("RGB")).is_blank
    assert PASSWORD not in repr(result)
    assert set(SHARED_MEMORY.glob("com.freerdp.*")) == shared


@needs_xrdp
def test_a_wrong_password_fails_although_xrdp_shows_a_picture_and_another_session_lives(
    server: Xrdp, tmp_path: Path
) -> None:
    server.start_session_with(TERMINAL)
    assert log_in(server, tmp_path).outcome is CheckOutcome.PASSED
    result = log_in(server, tmp_path, "wrong")
    assert result.outcome is CheckOutcome.FAILED
    assert result.message.startswith("the server refused the login of developer: wrong password")


@needs_xrdp
def test_a_black_screen_fails_with_the_sessions_last_words(server: Xrdp, tmp_path: Path) -> None:
    server.start_session_with("echo panel: cannot open display >&2\nexec sleep 1000\n")
    result = log_in(server, tmp_path, seconds=12)
    assert result.outcome is CheckOutcome.FAILED
    assert "developer is logged in, and the screen stayed blank after 12s" in result.message
    assert "panel: cannot open display" in result.message
    with Image.open(tmp_path / "screenshots/rdp-developer.png") as picture:
        assert content_of(picture.convert("RGB")).is_blank


@needs_xrdp
def test_a_session_that_ends_at_once_fails_and_says_so(server: Xrdp, tmp_path: Path) -> None:
    server.start_session_with("echo startxfce4: not found >&2\nexit 127\n")
    result = log_in(server, tmp_path)
    assert result.outcome is CheckOutcome.FAILED
    assert "ended right after the login" in result.message
    assert "startxfce4: not found" in result.message


# --- NLA


@pytest.mark.skipif(bool(missing_for_nla()), reason=missing_for_nla())
def test_a_server_that_demands_nla_is_logged_in_to_and_believed(tmp_path: Path) -> None:
    with shadow(tmp_path, nt_hash_of(PASSWORD)) as port:
        good = examine(FakeGuest({}), tmp_path, port, nla=True, user=USER, password=PASSWORD)
        assert good.outcome is CheckOutcome.PASSED, good.message
        assert good.actual.startswith("offers NLA, certificate of")
        bad = examine(FakeGuest({}), tmp_path, port, user=USER, password="wrong")
        assert bad.outcome is CheckOutcome.FAILED
        assert "as some do when user or password is wrong" in bad.message
        assert "lets no client in without NLA" in examine(FakeGuest({}), tmp_path, port, nla=False).message


# --- nothing is left


_LONG = """\
import sys
sys.path[:0] = {path!r}
from pathlib import Path
from fakes import FakeGuest
from kvm_action.checks import run_checks
from kvm_action.interruption import interruptible
from kvm_action.plan.rdp_check import RdpCheck
check = RdpCheck.model_validate(dict(port={port}, user="developer", password="x"))
with interruptible():
    run_checks(FakeGuest({{"DISPLAY": "sees: all"}}), [check], folder=Path(), on_result=print)
"""


@needs_xrdp
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_whoever_ends_us_ends_the_programs_of_a_session_too(
    server: Xrdp, tmp_path: Path, ending: signal.Signals
) -> None:
    script = _LONG.format(path=sys.path, port=server.port)
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    running = subprocess.Popen([sys.executable, "-c", script], env=environment, stderr=subprocess.DEVNULL)
    try:
        assert until(lambda: programs(tmp_path) >= {"Xvfb", "xfreerdp"}, Deadline(timedelta(seconds=20)))
        began = time.monotonic()
        running.send_signal(ending)
        running.wait(10)
        assert time.monotonic() - began < 6
        assert until(lambda: not programs(tmp_path), Deadline(timedelta(seconds=3))), programs(tmp_path)
        if ending is signal.SIGKILL:  # nobody was asked; the next run sweeps
            assert [folder.name.startswith("kvm-e2e-rdp-") for folder in remove_abandoned_scratch()] == [True]
    finally:
        running.kill()
        running.wait()
