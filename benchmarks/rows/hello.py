"""The hello example on a cold-booted Debian 12: what a run costs beside the script, and the tool's own memory."""

from benchmarks.reading import Reading
from benchmarks.workshop import REPOSITORY, Workshop

OVERHEAD_SECONDS = 45
TOOL_MEGABYTES = 100
IMAGE = "debian-12"


def measure(workshop: Workshop) -> list[Reading]:
    """Three runs: a run is a minute or more of emulation."""
    workshop.tool("image", "build", IMAGE)
    overhead, memory = [], []
    for number in range(workshop.count(3)):
        result = workshop.run_plan(
            REPOSITORY / "examples/hello/plan.yml",
            workshop.folder / f"hello-{number}",
            *("--image", IMAGE, "--start", "boot"),
        )
        overhead.append(result["measures"]["overhead_seconds"])
        memory.append(result["measures"]["tool_memory_peak_bytes"] / 1e6)
        workshop.say(f"  {number + 1}: overhead {overhead[-1]:.1f} s, tool {memory[-1]:.0f} MB")
    return [
        Reading(
            name="overhead of examples/hello",
            unit="s",
            ours=tuple(overhead),
            at_most=OVERHEAD_SECONDS,
            includes=f"all of a run on {IMAGE} (cold boot, checks, snapshots, reports) minus the script's time",
        ),
        Reading(
            name="the tool's memory in it",
            unit="MB",
            ours=tuple(memory),
            at_most=TOOL_MEGABYTES,
            includes="peak resident memory of kvm-e2e itself, without QEMU and libvirt",
        ),
    ]
