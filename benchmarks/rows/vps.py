"""The workstation of `examples/vps`: from a bare image, and warm from an image that was made of it."""

import time

from benchmarks.reading import Reading
from benchmarks.workshop import REPOSITORY, Workshop

PLAN = REPOSITORY / "examples/vps/plan.yml"
BARE, MADE = "debian-12", "bench-vps"
COLD_SECONDS, WARM_SECONDS = 900, 60


def measure(workshop: Workshop) -> list[Reading]:
    """One run from the bare image, then three from what it made, whose template is there. In a home of its own."""
    workshop.tool("image", "build", BARE)
    own = workshop.at_home()

    def run(name: str, image: str, *options: str) -> float:
        """Seconds of the whole command."""
        begun = time.perf_counter()
        start = own.run_plan(PLAN, workshop.folder / name, "--image", image, *options)["start"]
        took = time.perf_counter() - begun
        if start["mode"] != "template":
            raise RuntimeError(f"{name} started by {start['mode']}: {start['reason']}")
        workshop.say(f"  {name}: {took:.1f} s")
        return took

    try:
        cold = run("cold", BARE, "--keep", "always")
        own.tool("image", "promote", "last", "--as", MADE)
        own.tool("vm", "destroy", "--all")
        run("first", MADE)
        warm = tuple(run(f"warm-{number}", MADE) for number in range(workshop.count(3)))
    finally:
        own.tool("vm", "destroy", "--all")
        own.tool("template", "remove", "--all")
        if MADE in own.tool("image", "list"):
            own.tool("image", "remove", MADE)
    return [
        Reading(
            name="examples/vps from a bare image",
            unit="s",
            ours=(cold,),
            at_most=COLD_SECONDS,
            includes="one run: template made, all installed, run again, five groups of checks, a login by RDP",
        ),
        Reading(
            name="examples/vps from an image of it",
            unit="s",
            ours=warm,
            at_most=WARM_SECONDS,
            includes="the same run, all steps done before; woken from a template; snapshots, checks, login by RDP",
        ),
    ]
