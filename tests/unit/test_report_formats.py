"""JUnit and CTRF say whose fault it was, and survive the nastiest text."""

import json
from xml.etree import ElementTree

import pytest
import samples
from samples import HOSTILE

from kvm_action.report.ctrf import ctrf
from kvm_action.report.junit import junit
from kvm_action.results import RunResult
from kvm_action.text import plain_line


def suites(run: RunResult) -> dict[str, ElementTree.Element]:
    return {suite.get("name", ""): suite for suite in ElementTree.fromstring(junit(run))}


def test_junit_calls_a_failed_script_a_failure() -> None:
    steps = suites(samples.failed_provision_run())["steps"]
    assert (steps.get("failures"), steps.get("errors")) == ("1", "0")
    failure = steps.find("testcase[@name='provision']/failure")
    assert failure is not None
    assert failure.get("message") == "`sudo ./install.sh` exited 3 after 41.3 s"
    assert "not signed" in (failure.text or "")


@pytest.mark.parametrize("run", [samples.stuck_boot_run(), samples.interrupted_run()], ids=["boot", "interrupted"])
def test_junit_calls_what_is_not_the_scripts_fault_an_error(run: RunResult) -> None:
    steps = suites(run)["steps"]
    assert (steps.get("failures"), steps.get("errors")) == ("0", "1")


def test_junit_counts_the_checks() -> None:
    checks = suites(samples.failed_check_run())["checks"]
    assert [checks.get(key) for key in ("tests", "failures", "errors", "skipped")] == ["9", "2", "1", "1"]


def test_ctrf_counts_add_up_and_infrastructure_is_never_failed() -> None:
    results = json.loads(ctrf(samples.stuck_boot_run()))["results"]
    summary = results["summary"]
    assert summary["tests"] == len(results["tests"])
    assert summary["tests"] == sum(summary[key] for key in ("passed", "failed", "skipped", "pending", "other"))
    assert (summary["failed"], summary["other"]) == (0, 1)


def test_ctrf_shows_the_evidence_where_it_broke() -> None:
    tests = json.loads(ctrf(samples.failed_provision_run()))["results"]["tests"]
    broken = next(test for test in tests if test["status"] == "failed")
    assert "not signed" in broken["trace"]


@pytest.mark.parametrize("write", [junit, ctrf])
def test_hostile_text_is_shown_and_does_nothing(write: object) -> None:
    assert callable(write)
    text = write(samples.hostile_run())
    assert "\x1b" not in text
    assert "\x00" not in text
    assert text.encode()
    if write is junit:
        case = ElementTree.fromstring(text).find("testsuite[@name='checks']/testcase")
        assert case is not None
        assert case.get("name") == " ".join(plain_line(HOSTILE).split())
    else:
        assert json.loads(text)["results"]["tests"][-1]["name"] == plain_line(HOSTILE)


@pytest.mark.parametrize("write", [junit, ctrf])
def test_a_run_that_ended_before_anything_began_can_be_told(write: object) -> None:
    assert callable(write)
    assert "kvm-e2e" in write(samples.plan_error_run())
