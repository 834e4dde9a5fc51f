"""The three phases: a process for each run, all runs in this process, and runs side by side."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import Any, Final

from benchmarks.soak.footprint import Watch
from benchmarks.soak.samples import Ran, Sample
from benchmarks.workshop import REPOSITORY
from kvm_action import result_file
from kvm_action.cli.run import Options, run_plan
from kvm_action.plan.load import load_plan
from kvm_action.plan.model import Accel, BackendName, StartMode

LONGEST: Final = 1800
SMALL: Final = (
    "name: soak\nmachine: {image: IMAGE, memory: 512MiB, cpus: 1}\nsnapshots: []\nprovision: {run: 'true'}\n"
)

Act = Callable[[Path], Ran]
"""One run, with its output in a folder."""


@dataclass
class Soak:
    """Takes samples. ``say`` is told of each."""

    plan: Path
    image: str
    watch: Watch
    say: Callable[[str], None]
    samples: list[Sample] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    _lock: Lock = field(default_factory=Lock)

    def in_a_row(self, runs: int) -> None:
        """Each in a process of its own."""
        for _ in range(runs):
            self._take("in a row", lambda out: self.call(self.plan, out))

    def in_one_process(self, runs: int) -> None:
        """All of them here, so that a leak of the tool is a growth of this process."""
        for _ in range(runs):
            self._take("one process", self._run_here)

    def side_by_side(self, many: int, allowed: timedelta) -> None:
        """As many at a time, one after the other, until the time is over."""
        end = time.monotonic() + allowed.total_seconds()
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(many) as pool:
            plan = small_plan(Path(folder), self.image)

            def repeat(_worker: int) -> None:
                while time.monotonic() < end:
                    self._take("side by side", lambda out: self.call(plan, out))

            list(pool.map(repeat, range(many)))

    def warm_up(self) -> None:
        """Make the templates, which no sample should have to."""
        with tempfile.TemporaryDirectory() as folder:
            for plan in (self.plan, small_plan(Path(folder), self.image)):
                self.say(f"{plan}: {self.call(plan, Path(folder) / f'out-{plan.parent.name}')}")

    def call(self, plan: Path, out: Path) -> Ran:
        """`kvm-e2e run` in a process of its own."""
        options = {"--image": self.image, "--start": "auto", "--out": str(out)}
        command = ["-m", "kvm_action", "run", str(plan), *chain.from_iterable(options.items())]
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, *command], cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True, text=True, errors="replace", timeout=LONGEST, check=False,
        )  # fmt: skip
        seconds = time.monotonic() - began
        try:
            return ran(seconds, json.loads((out / "result.json").read_text()))
        except OSError:
            return Ran(seconds=seconds, outcome=f"exit {done.returncode}", start="", reason=done.stderr[-300:])

    def _run_here(self, out: Path) -> Ran:
        options = Options(
            image=self.image, backend=BackendName.KVM, accel=Accel.AUTO, start=StartMode.AUTO,
            out=out, keep=None, timeout=None, as_json=False,
        )  # fmt: skip
        began = time.monotonic()
        result = run_plan(load_plan(self.plan), options, told=lambda _event: None)
        return ran(time.monotonic() - began, json.loads(result_file.dumps(result)))

    def _take(self, phase: str, act: Act) -> None:
        with tempfile.TemporaryDirectory(prefix="kvm-e2e-soak-", dir="/var/tmp") as folder:
            done = act(Path(folder) / "out")
        with self._lock:
            number = 1 + sum(1 for each in self.samples if each.phase == phase)
            at = time.monotonic() - self._began
            sample = Sample(phase=phase, number=number, at=at, ran=done, after=self.watch.look())
            self.samples.append(sample)
            self.say(f"{phase} {number}: {done.seconds:.1f} s, {done.outcome} by {done.start} {done.reason}")


def ran(seconds: float, result: dict[str, Any]) -> Ran:
    """What a result says."""
    failure, start = result.get("failure") or {}, result.get("start") or {}
    reason = failure.get("message") or start.get("reason") or ""
    mode = str(start.get("mode", ""))
    return Ran(seconds=round(seconds, 2), outcome=result["outcome"], start=mode, reason=reason)


def small_plan(folder: Path, image: str) -> Path:
    """A machine of which many fit side by side."""
    path = folder / "soak.yml"
    path.write_text(SMALL.replace("IMAGE", image))
    return path


def by_phase(samples: list[Sample]) -> Iterator[tuple[str, list[Sample]]]:
    """The phases in their order, each with its samples."""
    for phase in dict.fromkeys(sample.phase for sample in samples):
        yield phase, [sample for sample in samples if sample.phase == phase]
