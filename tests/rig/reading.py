"""What the runs inside the rig say: how much faster a template is than a boot, and what the tool itself costs.

All of it in one emulated machine: ratios mean something, seconds are ten times those of a real host and more.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kvm_action import result_file
from kvm_action.results import RunResult, StepName

START: Final = (StepName.LAUNCH, StepName.NETWORK, StepName.SSH)
"""From nothing to a session that has answered."""
FASTER_AT_LEAST, OVERHEAD_AT_MOST = 20.0, 3.0


@dataclass(frozen=True)
class Inner:
    """A run inside: in which libvirt, which scenario's, and its result."""

    place: str
    name: str
    result: RunResult
    path: Path


def read_all(results: Path) -> list[Inner]:
    """The runs in ``results/PLACE/NAME``, oldest first."""
    found = [
        Inner(path.parts[-3], path.parts[-2], result_file.read(path), path)
        for path in results.glob("*/*/result.json")
    ]
    return sorted(found, key=lambda inner: inner.result.started_at)


def seconds_of(result: RunResult, steps: Iterable[StepName]) -> float:
    """The sum of these steps."""
    wanted = set(steps)
    return sum(step.seconds for step in result.steps if step.name in wanted)


def overhead(result: RunResult) -> float:
    """What remains of a run without the start of its machine and without the script, both times that it ran."""
    again = result.idempotence.seconds if result.idempotence else 0.0
    return result.seconds - seconds_of(result, START) - (result.measures.provision_seconds or 0.0) - again


def figures(runs: list[Inner], place: str) -> list[str]:
    """Lines to print for one libvirt; none where its runs did not come that far."""
    by_name = {inner.name: inner.result for inner in runs if inner.place == place}
    boot, warm, quiet = (by_name.get(name) for name in ("boot", "template-again", "template-quiet"))
    lines = []
    if boot and warm:
        slow, fast = seconds_of(boot, START), seconds_of(warm, START)
        lines.append(
            f"{place}: to a command over SSH, boot {slow:.1f} s, template {fast:.1f} s: {compared(slow, fast)}"
        )
    if boot and warm and boot.milestones.port_open and warm.milestones.agent:
        slow, fast = boot.milestones.port_open, warm.milestones.agent
        lines.append(
            f"{place}: to a first answer, boot {slow:.1f} s, template {fast:.1f} s: {compared(slow, fast)}"
        )
    for name, result in (("doing nothing", quiet), ("the example, its checks and snapshots", warm)):
        if result:
            lines.append(f"{place}: the tool's own time, {name}: {spent(result)}")
    return lines


def compared(slow: float, fast: float) -> str:
    """A ratio and whether it reaches the target."""
    reached = "reaches" if slow / fast >= FASTER_AT_LEAST else "misses"
    return f"{slow / fast:.0f} times faster, {reached} {FASTER_AT_LEAST:.0f}"


def spent(result: RunResult) -> str:
    """The overhead, whether it reaches the target, and the steps that took most of it."""
    own = overhead(result)
    reached = "reaches" if own <= OVERHEAD_AT_MOST else "misses"
    counted = sorted({step.name for step in result.steps} - {*START, StepName.PROVISION, StepName.IDEMPOTENCE})
    parts = ", ".join(f"{name} {took:.1f}" for name in counted if (took := seconds_of(result, [name])) >= 0.1)
    return f"{own:.1f} s, {reached} {OVERHEAD_AT_MOST:.0f} s ({parts})"
