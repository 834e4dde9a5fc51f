"""Making a template, beside booting the same machine once: what the first run pays for the later ones."""

from benchmarks.reading import Reading
from benchmarks.warm_machine import PLAN, boot
from benchmarks.workshop import Workshop, seconds

MORE_SECONDS = 3
CPUS, MEMORY = 2, 2048


def measure(workshop: Workshop) -> list[Reading]:
    """Three pairs; each makes the template anew, in a home of its own."""
    workshop.tool("image", "build", "debian-12")
    own = workshop.at_home()
    plan = workshop.folder / "plan.yml"
    plan.write_text(PLAN.format(cpus=CPUS, memory=MEMORY))

    def ours(_number: int) -> float:
        own.tool("template", "remove", "--all")
        return seconds(lambda: own.tool("template", "build", plan))

    def theirs(number: int) -> float:
        return boot(workshop.folder / f"boot-{number}", CPUS, MEMORY)

    try:
        made, booted = workshop.interleaved(workshop.count(3), ours, theirs)
    finally:
        own.tool("template", "remove", "--all")
    return [
        Reading(
            name="what a template takes beyond a boot",
            unit="s",
            ours=tuple(make - boot for make, boot in zip(made, booted, strict=True)),
            at_most=MORE_SECONDS,
            includes="`kvm-e2e template build` minus, each time, a cold boot of such a machine to SSH",
        )
    ]
