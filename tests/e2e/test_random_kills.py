"""SIGTERM and SIGKILL at any moment: nothing is left after a reap, and the next run is green.

The moments come from a seed that each failure prints; KVM_E2E_SEED sets it.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import fast_machine
import pytest
from tooling import Ended, Tool, wait_for
from traces import traces

from kvm_action.backends.reaping import reap
from kvm_action.hypervisor.connection import open_connection
from kvm_action.units import format_seconds

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("KVM_E2E_SEED") or time.time_ns() % 1_000_000)
PLAN = """
machine: {image: debian-12, memory: 512MiB, cpus: 1}
snapshots: []
provision: {run: 'true'}
artifacts: [/var/log/cloud-init.log]
"""
SIGNALS = (signal.SIGTERM, signal.SIGKILL)
ENDS = {signal.SIGTERM: {143, -signal.SIGTERM, 0}, signal.SIGKILL: {-signal.SIGKILL, 0}}
"""By a signal before Python has its handlers, and 0 where the run was quicker."""
FAST_RUNS = 100
REAL_RUNS = 20


@pytest.fixture
def untouched(tool: Tool) -> Iterator[Tool]:
    """The tool, of whose runs nothing may be left."""
    before = traces(tool)
    yield tool
    assert traces(tool) == before, f"KVM_E2E_SEED={SEED}"


class FastTool(Tool):
    """Runs with a machine that does nothing."""

    program = (fast_machine.__file__,)

    def environment_of(self) -> dict[str, str]:
        return super().environment_of() | {"PYTHONPATH": os.pathsep.join(sys.path)}


def killed(tool: Tool, out: Path, process, number: int, moment: float) -> str:
    """Send the signal at its moment, and judge the end; returns what was done, for a message."""
    time.sleep(moment)  # the moment is the fault
    was_over = process.poll() is not None
    process.send_signal(number)
    ended = tool.wait(process, out, timeout=60)
    done = f"{signal.Signals(number).name} after {format_seconds(moment)}, KVM_E2E_SEED={SEED}"
    allowed = {0} if was_over else ENDS[number]
    assert ended.status in allowed, f"{done}: {ended.status} {ended.stdout}{ended.stderr}"
    assert "Traceback" not in ended.stderr, f"{done}: {ended.stderr}"
    assert_told(ended, done)
    return done


def assert_told(ended: Ended, done: str) -> None:
    """A run that was interrupted in one of its steps says so in its report."""
    events = ended.out / "events.jsonl"
    if ended.status == 143 and events.exists() and "StepStarted" in events.read_text():
        assert ended.result["outcome"] == "interrupted", done
        assert (ended.out / "report.html").exists(), done


@pytest.mark.timeout(3600)
def test_a_hundred_fast_runs_killed_at_any_moment_leave_nothing_and_the_next_is_green(tool: Tool) -> None:
    chance, fast = Random(SEED), FastTool(tool.home, tool.folder)
    plan, before = str(fast.write_plan(PLAN)), traces(fast)
    usual = fast("run", plan)
    assert usual.status == 0, usual.stdout + usual.stderr
    struck = 0
    with open_connection() as connection:
        for _ in range(FAST_RUNS):
            process, out = fast.start("run", plan)
            done = killed(fast, out, process, chance.choice(SIGNALS), chance.uniform(0, usual.seconds))
            struck += process.returncode != 0
            reap(connection, fast.home / "runs")
            again = fast("run", plan)
            assert again.status == 0, f"after {done}: {again.stdout}{again.stderr}"
            assert traces(fast) == before, done
    assert struck > FAST_RUNS / 2, f"most signals came too late: {FAST_RUNS - struck}"


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("number", range(REAL_RUNS))
def test_a_real_run_killed_at_any_moment_leaves_nothing_and_the_next_is_green(
    untouched: Tool, number: int
) -> None:
    chance, plan = Random(SEED + number), str(untouched.write_plan(PLAN))
    assert untouched("template", "build", plan, timeout=600).status == 0
    usual = untouched("run", plan, timeout=600)
    assert usual.status == 0, usual.stdout + usual.stderr
    process, out = untouched.start("run", plan)
    done = killed(untouched, out, process, chance.choice(SIGNALS), chance.uniform(0, usual.seconds))
    wait_for(lambda: not untouched.machines(), 30, f"the machine to be gone: {done}")
    assert untouched("reap").status == 0
    again = untouched("run", plan, timeout=600)
    assert again.status == 0, f"after {done}: {again.stdout}{again.stderr}"
    assert again.result["start"]["mode"] == "template", done
