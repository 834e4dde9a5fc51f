"""Building the Debian 12 image from packages, beside mmdebstrap alone making the same file system."""

from pathlib import Path

from benchmarks.reading import Reading
from benchmarks.workshop import Workshop, seconds
from kvm_action.images import mirror
from kvm_action.images.recipes import RECIPES, Recipe

SECONDS = 60
IMAGE = "debian-12"


def measure(workshop: Workshop) -> list[Reading]:
    """Two pairs, of minutes each."""
    recipe = RECIPES[IMAGE]
    own = Workshop(
        workshop.folder, workshop.say, workshop.samples, {"KVM_E2E_HOME": str(workshop.folder / "home")}
    )

    def ours(_number: int) -> float:
        return seconds(lambda: own.tool("image", "build", IMAGE, "--force"))

    def theirs(number: int) -> float:
        tar = workshop.folder / f"root-{number}.tar"
        taken = seconds(lambda: workshop.call(plain(recipe, tar)))
        tar.unlink()
        return taken

    taken = workshop.interleaved(workshop.count(2), ours, theirs)
    return [
        Reading(
            name=f"image build {IMAGE}",
            unit="s",
            ours=taken[0],
            theirs=taken[1],
            against="mmdebstrap to a tar",
            at_most=SECONDS,
            includes="ours: packages to a checked, bootable disk in the store; theirs: the same packages to a tar",
        )
    ]


def plain(recipe: Recipe, tar: Path) -> list[str | Path]:
    """mmdebstrap with the same packages from the same mirror."""
    host = mirror.of_this_host()
    command = [
        "mmdebstrap",
        "--variant=apt",
        "--dpkgopt=force-unsafe-io",
        f"--include={','.join(recipe.packages)}",
    ]
    return [*command, recipe.suite, tar, *(mirror.source_lines(host, recipe.suite) if host else ())]
