"""A step of our action as a GitHub runner starts it: the same shell, the same environment, the same signals."""

import contextlib
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

INT_GRACE, TERM_GRACE = 7.5, 2.5
"""Seconds between SIGINT and SIGTERM, and between that and SIGKILL (runner: ProcessInvoker.cs)."""


@dataclass
class Step:
    """The step that runs the plan. ``inputs`` are added to the defaults of action.yml."""

    action: Path
    folder: Path
    home: Path
    inputs: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def start(self) -> "Running":
        document: dict[str, Any] = YAML(typ="safe", pure=True).load((self.action / "action.yml").read_text())
        defaults = {name: about["default"] for name, about in document["inputs"].items()}
        inputs = {**defaults, "github-token": "", **self.inputs}
        script = self.folder / "step.sh"
        script.write_text(document["runs"]["steps"][0]["run"])
        for name in ("tmp", "workspace"):
            (self.folder / name).mkdir(exist_ok=True)
        environment = {
            **os.environ,
            "KVM_E2E_HOME": str(self.home),
            "KVM_E2E_INPUTS": json.dumps(inputs),
            "KVM_E2E_JOB_INDEX": "0",
            "GITHUB_ACTION_PATH": str(self.action),
            "GITHUB_WORKSPACE": str(self.folder / "workspace"),
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            "GITHUB_REPOSITORY": "org/app",
            "GITHUB_SHA": "a" * 40,
            "GITHUB_RUN_ID": "7",
            "GITHUB_JOB": "kvm",
            "RUNNER_TEMP": str(self.folder / "tmp"),
            **self.environment,
        }
        with (self.folder / "log").open("wb") as log:
            process = subprocess.Popen(
                ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", script],
                cwd=self.folder / "workspace",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Running(process, self.folder)


@dataclass
class Running:
    """The step's entry process. Leaving the context kills what is left of its session."""

    process: subprocess.Popen[bytes]
    folder: Path
    began: float = field(default_factory=time.monotonic)

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill_tree()

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    @property
    def out(self) -> Path:
        """The results, once there are any."""
        found = [path for path in (self.folder / "tmp").glob("kvm-e2e-*") if (path / "events.jsonl").exists()]
        return found[0] if found else self.folder / "none"

    def wait(self, seconds: float) -> int:
        return self.process.wait(seconds)

    def cancel(self) -> float:
        """As the runner does; returns the seconds until the entry process had ended."""
        began = time.monotonic()
        for number, grace in ((signal.SIGINT, INT_GRACE), (signal.SIGTERM, TERM_GRACE)):
            self.process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(grace)
                return time.monotonic() - began
        self.kill_tree()
        return time.monotonic() - began

    def kill_tree(self) -> None:
        """SIGKILL to the entry process and all that it started in its session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
