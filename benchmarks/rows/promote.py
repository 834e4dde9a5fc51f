"""A kept machine's disk as an image: seconds for each gigabyte that is written."""

import json
from pathlib import Path

from benchmarks.reading import Reading
from benchmarks.workshop import Workshop, seconds

SECONDS_PER_GB = 20
GB = 1_000_000_000
PLAN = (
    "machine: {image: debian-12, cpus: 2, memory: 1GiB}\nsnapshots: []\nkeep: always\n"
    "provision: {run: sudo dd if=/dev/urandom of=/var/lib/ballast bs=1M count=1000 status=none}\n"
)


def measure(workshop: Workshop) -> list[Reading]:
    """Three promotions of one machine with 1 GB in it beside its system."""
    workshop.tool("image", "build", "debian-12")
    plan = workshop.folder / "plan.yml"
    plan.write_text(PLAN)
    out = workshop.folder / "out"
    try:
        run = workshop.run_plan(plan, out)["id"]
        taken = tuple(_promoted(workshop, run, number) for number in range(workshop.count(3)))
    finally:
        _end_kept(workshop, out)
    return [
        Reading(
            name="image promote",
            unit="s/GB",
            ours=taken,
            at_most=SECONDS_PER_GB,
            includes="snapshot, sealing in the guest, copy, check, checksum, going back; per GB of the image",
        )
    ]


def _end_kept(workshop: Workshop, out: Path) -> None:
    """A run that failed is kept too."""
    if (result := out / "result.json").exists():
        workshop.tool("vm", "destroy", json.loads(result.read_text())["id"])


def _promoted(workshop: Workshop, run: str, number: int) -> float:
    """Seconds for each gigabyte of the image's file."""
    name = f"bench-promoted-{number}"
    took = seconds(lambda: workshop.tool("image", "promote", run, "--as", name))
    size = json.loads(workshop.tool("image", "inspect", name, "--json"))["bytes"]
    workshop.tool("image", "remove", name)
    workshop.say(f"  {size / GB:.2f} GB: {took:.1f} s")
    return took / float(size / GB)
