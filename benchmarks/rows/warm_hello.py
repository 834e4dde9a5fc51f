"""The hello example from a template: what a warm run costs beside the script."""

from benchmarks.reading import Reading
from benchmarks.workshop import REPOSITORY, Workshop

OVERHEAD_SECONDS = 8
IMAGE = "debian-12"


def measure(workshop: Workshop) -> list[Reading]:
    """Seven runs, after one that makes the template."""
    workshop.tool("image", "build", IMAGE)
    plan = REPOSITORY / "examples/hello/plan.yml"
    workshop.run_plan(plan, workshop.folder / "first", "--image", IMAGE)
    overheads = []
    for number in range(workshop.count(7)):
        result = workshop.run_plan(plan, workshop.folder / f"hello-{number}", "--image", IMAGE)
        if result["start"]["mode"] != "template":
            raise RuntimeError(f"it started by {result['start']['mode']}: {result['start']['reason']}")
        again = (result["idempotence"] or {}).get("seconds", 0)
        overheads.append(result["measures"]["overhead_seconds"] - again)
        workshop.say(f"  {number + 1}: overhead {overheads[-1]:.1f} s")
    return [
        Reading(
            name="overhead of a warm examples/hello",
            unit="s",
            ours=tuple(overheads),
            at_most=OVERHEAD_SECONDS,
            includes=f"all of a run on {IMAGE} from a template minus both runs of the script",
        )
    ]
