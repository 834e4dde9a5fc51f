"""Where rows work: a folder of their own, the command under test, interleaved samples. Knows no row."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from kvm_action.paths import Home

REPOSITORY: Final = Path(__file__).parents[1]
TOOL: Final = Path(sys.executable).with_name("kvm-e2e")

Sample = Callable[[int], float]
"""Takes the n-th sample and returns it."""


@dataclass(frozen=True)
class Workshop:
    """``folder`` is removed afterwards; ``say`` shows progress; ``samples`` overrides every row's own number."""

    folder: Path
    say: Callable[[str], None]
    samples: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def count(self, usual: int) -> int:
        """How many samples to take where a row usually takes ``usual``."""
        return self.samples or usual

    def at_home(self) -> "Workshop":
        """The same in a home of its own, with the images of the user's."""
        home = self.folder / "home"
        home.mkdir()
        (home / "images").symlink_to(Home.from_environ().images)
        return replace(self, environment={**self.environment, "KVM_E2E_HOME": str(home)})

    def interleaved(self, count: int, ours: Sample, theirs: Sample) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Pairs of samples; who goes first changes each time, so that a drift of the host hits both alike."""
        taken: tuple[list[float], list[float]] = ([], [])
        for number in range(count):
            for side in (0, 1) if number % 2 == 0 else (1, 0):
                taken[side].append((ours, theirs)[side](number))
            self.say(f"  {number + 1}/{count}: ours {taken[0][-1]:.3f}, theirs {taken[1][-1]:.3f}")
        return tuple(taken[0]), tuple(taken[1])

    def tool(self, *arguments: str | Path) -> str:
        """Call kvm-e2e to its end; what it printed on standard output."""
        return self.call([TOOL, *arguments])

    def run_plan(self, plan: Path, out: Path, *options: str | Path) -> dict[str, Any]:
        """`kvm-e2e run` to its end; its result.json."""
        self.tool("run", plan, "--out", out, *options)
        result: dict[str, Any] = json.loads((out / "result.json").read_text())
        return result

    def call(self, argv: Sequence[str | Path]) -> str:
        """A program to its end. Raises RuntimeError with its last words when it fails."""
        done = subprocess.run(
            argv,
            cwd=REPOSITORY,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{argv[0]} exited {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
        return done.stdout


def seconds(body: Callable[[], object]) -> float:
    """How long it takes."""
    begun = time.perf_counter()
    body()
    return time.perf_counter() - begun
