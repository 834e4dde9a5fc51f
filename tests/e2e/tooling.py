"""The command as a user calls it, with a home of its own, and a look at what it left behind."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

REPOSITORY = Path(__file__).parents[2]
IMAGES = ("debian-12", "debian-13")
RECORDS = os.environ.get("KVM_E2E_TEST_RUNS")
"""A history that is to keep the runs, each under the name of its test."""
BOOT = 300  # seconds that a run may take here, under emulation and load


@dataclass
class Ended:
    """A command that has ended, and what it left in its output folder."""

    status: int
    stdout: str
    stderr: str
    out: Path
    seconds: float

    @property
    def result(self) -> dict:
        return json.loads((self.out / "result.json").read_text())

    @property
    def failure(self) -> dict:
        return self.result["failure"]


@dataclass
class Tool:
    """The command line, with a home of its own whose images are the user's."""

    home: Path
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()
    calls: int = 0
    pids: set[int] = field(default_factory=set)
    """Of all that was started."""
    started: list[subprocess.Popen[str]] = field(default_factory=list)
    program: ClassVar[tuple[str, ...]] = ("-m", "kvm_action")

    def write_plan(self, text: str, name: str = "plan.yml") -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def start(self, *arguments: str) -> tuple[subprocess.Popen[str], Path]:
        self.calls += 1
        out = self.folder / f"out-{self.calls}"
        command = [*self.prefix, sys.executable, *self.program, *arguments]
        if arguments[0] == "run":
            command += ["--out", str(out)]
        if arguments[0] == "run" and RECORDS and not any(word.startswith("name=") for word in arguments):
            command += ["--set", f"name={name_of_test()}"]
        process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=self.environment_of(),
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.pids.add(process.pid)
        self.started.append(process)
        return process, out

    def end(self) -> None:
        """End what still runs, because a test failed before it waited for it; the next test starts afresh."""
        for process in self.started:
            for how in (signal.SIGTERM, signal.SIGKILL):
                with suppress(subprocess.TimeoutExpired):
                    if process.poll() is None:
                        os.killpg(process.pid, how)
                        process.communicate(timeout=60)

    def environment_of(self) -> dict[str, str]:
        """What a process is started with."""
        return {**os.environ, "KVM_E2E_HOME": str(self.home), **self.environment}

    def wait(self, process: subprocess.Popen[str], out: Path, timeout: float = BOOT) -> Ended:
        began = time.monotonic()
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        if RECORDS and (out / "result.json").exists():
            add = [sys.executable, "-m", "kvm_action", "history", "add", "--to", RECORDS, out / "result.json"]
            subprocess.run(add, cwd=REPOSITORY, check=False, stdout=subprocess.DEVNULL)
        return Ended(process.returncode, stdout, stderr, out, time.monotonic() - began)

    def machines(self) -> set[str]:
        return machines_below(self.home)

    def __call__(self, *arguments: str, timeout: float = BOOT) -> Ended:
        return self.wait(*self.start(*arguments), timeout=timeout)


def name_of_test() -> str:
    """The test that runs, as the name of a plan."""
    test = os.environ["PYTEST_CURRENT_TEST"].split("::")[-1].split(" ")[0]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", test.removeprefix("test_"))[:63].rstrip("-_")


def machines_below(home: Path) -> set[str]:
    """The names of the machines whose disks are below ``home`` and that have a QEMU. Others may run theirs."""
    return machines_with(f"{home}/runs/")


def machines_with(word: str) -> set[str]:
    """The names of the machines whose QEMU has ``word`` in its command line."""
    found, wanted = set(), word.encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if wanted in line:
            found |= {word.decode() for word in line.split(b"\0") if word.startswith(b"guest=kvm-e2e-")}
    return found


def wait_for(condition, seconds: float, what: str, every: float = 0.1) -> None:
    """Wait for an event that another process brings about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(every)


def events(out: Path) -> list[dict]:
    file = out / "events.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def has_started(out: Path, step: str) -> bool:
    return any(event.get("event") == "StepStarted" and event.get("name") == step for event in events(out))
