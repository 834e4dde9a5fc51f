"""Hosts that lack something, or lose it meanwhile: one sentence with what mends it, and nothing left."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tooling import Ended, Tool, has_started, wait_for
from traces import traces

from kvm_action.hypervisor.connection import open_connection
from kvm_action.procfs import Host
from kvm_action.shortage import DESCRIPTORS

pytestmark = pytest.mark.slow

PLAN = "machine: {image: debian-12, memory: 512MiB, cpus: 1}\nsnapshots: []\nprovision: {run: 'true'}\n"
WITHOUT_KVM = ("unshare", "--mount", "sh", "-c", 'mount --bind /dev/null /dev/kvm && exec "$@"', "sh")


@pytest.fixture(scope="module", autouse=True)
def _daemon() -> Iterator[None]:
    """A libvirt daemon that no limited process has started: everybody's machines would inherit its limits."""
    with open_connection():
        yield


@pytest.fixture
def untouched(tool: Tool) -> Iterator[Tool]:
    """The tool, of whose runs nothing may be left."""
    before = traces(tool)
    yield tool
    assert traces(tool) == before


def told(ended: Ended) -> str:
    """The message and the hint, which are all that is said."""
    assert ended.status == 3, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert "bug" not in ended.stderr
    return ended.stdout + ended.stderr


@pytest.mark.parametrize("limit", [8, 13, 20, 40, DESCRIPTORS - 1])
def test_a_process_that_may_open_few_files_is_refused_with_the_number_and_what_raises_it(
    untouched: Tool, limit: int
) -> None:
    untouched.prefix = ("prlimit", f"--nofile={limit}:{limit}")
    said = told(untouched("run", str(untouched.write_plan(PLAN))))
    assert f"this process may open {limit} files at a time, and a run needs {DESCRIPTORS}" in said
    assert "ulimit -n 1024" in said


def test_the_fewest_files_that_are_asked_for_are_enough(untouched: Tool) -> None:
    untouched.prefix = ("prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}")
    ended = untouched("run", str(untouched.write_plan(PLAN)), timeout=600)
    assert ended.status == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("mebibytes", [100, 150, 200])
def test_a_process_that_gets_little_memory_says_so_wherever_that_strikes(untouched: Tool, mebibytes: int) -> None:
    untouched.prefix = ("prlimit", f"--as={mebibytes << 20}")
    said = told(untouched("run", str(untouched.write_plan(PLAN))))
    assert "gives this process no more memory" in said
    assert "ulimit -v" in said


def test_a_run_waits_for_memory_that_another_one_holds_and_says_so(untouched: Tool) -> None:
    plan = untouched.write_plan(PLAN.replace("'true'", "sleep 5"))
    holder, out = untouched.start("run", str(plan))
    wait_for(lambda: has_started(out, "overlay"), 300, "the first run to be admitted")
    room = 700 * (1 << 20) / Host().memory()["MemTotal"]  # for one of the two
    untouched.environment["KVM_E2E_MEMORY_FACTOR"] = f"{room:.6f}"
    second = untouched("run", str(plan), timeout=600)
    first = untouched.wait(holder, out)
    assert (first.status, second.status) == (0, 0), first.stdout + second.stdout + second.stderr
    assert "waiting for memory:" in second.stdout
    assert second.result["measures"]["queued_seconds"] > 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to take /dev/kvm away")
def test_kvm_that_vanishes_after_doctor_has_seen_it_is_told_with_what_goes_without(untouched: Tool) -> None:
    if not Path("/dev/kvm").exists():
        pytest.skip("there is no /dev/kvm to lose")
    assert "/dev/kvm" in untouched("doctor", "--json").stdout
    untouched.prefix = WITHOUT_KVM
    ended = untouched("run", str(untouched.write_plan(PLAN)), "--accel", "kvm")
    said = told(ended)
    assert ended.failure["class"] == "host"
    assert "KVM was requested and does not work here: /dev/kvm cannot" in said
    assert "leave out `--accel kvm`" in said


def test_the_run_after_all_these_is_green(untouched: Tool) -> None:
    ended = untouched("run", str(untouched.write_plan(PLAN)), timeout=600)
    assert ended.status == 0, ended.stdout + ended.stderr
