"""A user's own testinfra file: how pytest is called, and what its reports become. The guest is not asked."""

import sys
import time
from datetime import timedelta
from pathlib import Path
from threading import Event, Timer

import pytest
from fakes import FakeGuest

from kvm_action.checks import run_checks
from kvm_action.checks.own_tests import pytest_command, run_own_tests
from kvm_action.errors import InterruptedRunError
from kvm_action.guest import SshAccess
from kvm_action.leases import started
from kvm_action.plan.checks import CommandCheck, TestinfraCheck
from kvm_action.results import CheckOutcome, CheckResult
from kvm_action.wait import Deadline, until

pytestmark = pytest.mark.integration


def run(folder: Path, text: str, **keys: object) -> dict[str, CheckResult]:
    (folder / "test_vps.py").write_text(text)
    access = SshAccess(folder / "ssh_config", "guest")
    check = TestinfraCheck.model_validate({"path": Path("test_vps.py"), **keys})
    return {result.name: result for result in run_own_tests(check, access, folder, Event())}


def test_each_test_becomes_a_result_of_its_own(tmp_path: Path) -> None:
    results = run(
        tmp_path,
        "import pytest\n"
        "def test_good(): pass\n"
        "def test_bad(): assert 1 == 2, 'one is not two'\n"
        "@pytest.mark.skip(reason='not today')\n"
        "def test_later(): pass\n"
        "@pytest.fixture\n"
        "def broken(): raise OSError('no')\n"
        "def test_broken(broken): pass\n",
    )
    prefix = "testinfra: test_vps.py::test_"
    assert {name.removeprefix(prefix): result.outcome for name, result in results.items()} == {
        "good": CheckOutcome.PASSED,
        "bad": CheckOutcome.FAILED,
        "later": CheckOutcome.SKIPPED,
        "broken": CheckOutcome.ERROR,
    }
    assert "one is not two" in results[f"{prefix}bad"].message
    assert "not today" in results[f"{prefix}later"].message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import no_such_module\n", "No module named 'no_such_module'"),
        ("def test_(:\n", "SyntaxError"),
        ("x = 1\n", "has no tests"),
    ],
)
def test_a_file_that_cannot_be_collected_is_one_error_in_pytests_words(
    tmp_path: Path, text: str, words: str
) -> None:
    (result,) = run(tmp_path, text).values()
    assert result.outcome is CheckOutcome.ERROR
    assert words in result.message


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    check = TestinfraCheck(path=Path("test_none.py"))
    (result,) = run_own_tests(check, SshAccess(tmp_path / "c", "guest"), tmp_path, Event())
    assert result.outcome is CheckOutcome.ERROR
    assert str(tmp_path / "test_none.py") in result.message


def test_an_argument_that_pytest_refuses_is_an_error_in_pytests_words(tmp_path: Path) -> None:
    (result,) = run(tmp_path, "def test_good(): pass\n", args=("--no-such-flag",)).values()
    assert result.outcome is CheckOutcome.ERROR
    assert "no-such-flag" in result.message


def test_tests_that_hang_are_ended_at_their_time_limit(tmp_path: Path) -> None:
    text = "import time\ndef test_hangs(): time.sleep(60)\n"
    (result,) = run(tmp_path, text, timeout=timedelta(seconds=1)).values()
    assert result.outcome is CheckOutcome.ERROR
    assert "took longer than 1s" in result.message


SLEEPS = """\
import os, pathlib, subprocess, time
def test_hangs():
    child = subprocess.Popen(["sleep", "60"])
    (pathlib.Path(__file__).parent / "new").write_text(f"{os.getpid()} {child.pid}")
    (pathlib.Path(__file__).parent / "new").rename(pathlib.Path(__file__).parent / "pids")
    time.sleep(60)
"""
SOON = timedelta(seconds=30)


def assert_ended(folder: Path) -> None:
    """Neither pytest nor what its test started runs any more."""
    pids = [int(word) for word in (folder / "pids").read_text().split()]
    assert until(lambda: all(started(pid) == -1 for pid in pids), Deadline(SOON))


def test_tests_are_ended_with_their_children_when_nobody_waits_for_them(tmp_path: Path) -> None:
    (tmp_path / "test_vps.py").write_text(SLEEPS)
    over, began = Event(), time.monotonic()
    Timer(0, lambda: until((tmp_path / "pids").exists, Deadline(SOON)) and over.set()).start()
    check, access = TestinfraCheck(path=Path("test_vps.py")), SshAccess(tmp_path / "ssh_config", "guest")
    (result,) = run_own_tests(check, access, tmp_path, over)
    assert time.monotonic() - began < 40
    assert "ended before they were done: the run ended" in result.message
    assert_ended(tmp_path)


def test_an_interruption_of_the_checks_ends_tests_that_are_under_way(tmp_path: Path) -> None:
    (tmp_path / "test_vps.py").write_text(SLEEPS)
    guest = FakeGuest({"echo": ""}, SshAccess(tmp_path / "ssh_config", "guest"))

    def interrupt(_result: CheckResult) -> None:
        assert until((tmp_path / "pids").exists, Deadline(SOON))
        raise InterruptedRunError("interrupted")

    checks = [CommandCheck(run="echo"), TestinfraCheck(path=Path("test_vps.py"))]
    with pytest.raises(InterruptedRunError):
        run_checks(guest, checks, folder=tmp_path, on_result=interrupt)
    assert_ended(tmp_path)


def test_the_users_own_pytest_configuration_does_not_break_the_run(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --cov --no-such-flag\n")
    (tmp_path / "conftest.py").write_text("import pytest\n@pytest.fixture\ndef seven(): return 7\n")
    (result,) = run(tmp_path, "def test_seven(seven): assert seven == 7\n").values()
    assert result.outcome is CheckOutcome.PASSED
    assert not list(tmp_path.rglob("__pycache__")), "nothing may be left in the user's tree"
    assert not (tmp_path / ".pytest_cache").exists()


def test_pytest_runs_in_our_environment_with_the_users_arguments_last(tmp_path: Path) -> None:
    check = TestinfraCheck(path=Path("t.py"), args=("-k", "fast"))
    command = pytest_command(check, tmp_path / "t.py", "guest", tmp_path / "c", tmp_path / "j.xml")
    assert command[:3] == [sys.executable, "-m", "pytest"]
    assert command[-2:] == ["-k", "fast"]
