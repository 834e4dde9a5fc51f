"""kvm-e2e as the runner's user calls it, and what its runs produced."""

import json
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from scenarios.place import SHARED, Place, require, wait_for

TOOL = Path.home() / "kvm-e2e/bin/kvm-e2e"
RIG = Path(__file__).parents[1]
HELLO = RIG / "checkout/examples/hello/plan.yml"
QUIET = RIG / "scenarios/quiet.yml"
PATIENCE = 1200.0
"""Seconds for one run: the machine under all this is emulated."""


def call(place: Place, *words: str, may_exit: tuple[int, ...] = (0,)) -> str:
    """A command to its end; what it printed. Raises UnmetError when it fails."""
    done = subprocess.run(
        [TOOL, *words],
        env=place.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    said = (done.stdout + done.stderr)[-600:]
    require(done.returncode in may_exit, f"kvm-e2e {' '.join(words)} exited {done.returncode}: {said}")
    return done.stdout


@dataclass
class Run:
    """A run that is under way, or has ended. Leaving the context kills what is left of it."""

    process: "subprocess.Popen[bytes]"
    out: Path

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def wait(self, seconds: float = PATIENCE) -> int:
        """Its exit status."""
        return self.process.wait(seconds)

    def kill(self) -> None:
        """SIGKILL to it and all that it started, libvirt's daemons apart."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    @property
    def id(self) -> str:
        """Its id, once it has begun."""
        return next((str(event["id"]) for event in self.events() if event.get("event") == "RunStarted"), "")

    def events(self) -> list[dict[str, Any]]:
        """What it has told so far."""
        file = self.out / "events.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [json.loads(line) for line in lines if line.endswith("}")]

    def wait_for_step(self, step: str) -> None:
        """Until the step has started. Raises UnmetError when the run ends before."""
        started = {"event": "StepStarted", "name": step}
        wait_for(
            lambda: self.process.poll() is not None or any(started.items() <= e.items() for e in self.events()),
            PATIENCE,
            f"the step {step}",
        )
        require(self.process.poll() is None, f"the run ended before the step {step}: {self.words()}")

    @property
    def result(self) -> dict[str, Any]:
        """Its result.json."""
        found: dict[str, Any] = json.loads((self.out / "result.json").read_text())
        return found

    def words(self) -> str:
        """The end of what it printed."""
        return (self.out.parent / f"{self.out.name}.log").read_text(errors="replace")[-1500:]

    def passed(self, start: str) -> dict[str, Any]:
        """Wait, and require that it passed on KVM, started in this way; returns its result."""
        status = self.wait()
        require(status == 0, f"exit {status}: {self.words()}")
        result = self.result
        require(result["accel"]["name"] == "kvm", f"it ran on {result['accel']}")
        require(result["start"]["mode"] == start, f"it started by {result['start']}")
        return result


def start(place: Place, name: str, plan: Path, way: str, *options: str) -> Run:
    """Begin a run whose results are called ``name``."""
    out = SHARED / "results" / place.name / name
    out.parent.mkdir(parents=True, exist_ok=True)
    image = (RIG / "image").read_text().split()[0]
    shape = {"memory": "1GiB", "cpus": "1", "network": place.network}
    machine = [word for key, value in shape.items() for word in ("--set", f"machine.{key}={value}")]
    words = ["run", plan, "--image", image, "--accel", "kvm", "--start", way, "--out", out, *machine, *options]
    marked = ["--set", f"name=rig-{image}-{place.name}-{plan.parent.name if plan == HELLO else plan.stem}"]
    with (out.parent / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [TOOL, *words, *marked], env=place.environment, stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    return Run(process, out)


def seconds_since(began: float) -> str:
    """For a line of evidence."""
    return f"{monotonic() - began:.1f} s"
