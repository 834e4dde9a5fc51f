"""What ten idle machines of one template cost in memory that none of them shares."""

import time
from contextlib import ExitStack

from benchmarks.reading import CannotMeasure, Reading
from benchmarks.warm_machine import awake, start
from benchmarks.workshop import Workshop
from kvm_action.plan.model import StartMode

MACHINES = 10
MEGABYTES = 120
MEMORY = 512
IDLE_SECONDS = 10


def measure(workshop: Workshop) -> list[Reading]:
    """Ten machines that idle side by side; a sample is one machine."""
    workshop.tool("image", "build", "debian-12")
    start(workshop.folder / "first", StartMode.TEMPLATE, 1, MEMORY)
    with ExitStack() as running:
        machines = [
            running.enter_context(awake(workshop.folder / f"{number}", StartMode.TEMPLATE, 1, MEMORY))
            for number in range(MACHINES)
        ]
        time.sleep(IDLE_SECONDS)
        own = [machine.facts().measures.memory_own_bytes for machine in machines]
    if None in own:
        raise CannotMeasure("QEMU's processes are not ours to look at")
    return [
        Reading(
            name=f"memory of each of {MACHINES} idle machines",
            unit="MB",
            ours=tuple(each / 1e6 for each in own if each is not None),
            at_most=MEGABYTES,
            includes=f"debian-12 of {MEMORY} MiB from one template; what its QEMU shares with nobody",
        )
    ]
