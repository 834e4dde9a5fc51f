"""Building the Debian 12 image from packages, beside mmdebstrap alone making the same file system."""

from pathlib import Path

from benchmarks.reading import Reading
from benchmarks.workshop import Workshop, seconds
from kvm_action.images.recipes import RECIPES

SECONDS = 90
IMAGE = "debian-12"


def measure(workshop: Workshop) -> list[Reading]:
    """Two pairs, of minutes each."""
    recipe = RECIPES[IMAGE]
    own = Workshop(
        workshop.folder, workshop.say, workshop.samples, {"KVM_E2E_HOME": str(workshop.folder / "home")}
    )
    plain = [
        *("mmdebstrap", "--variant=apt", '--aptopt=APT::Install-Recommends "false"'),
        f"--include={','.join(recipe.packages)}",
        recipe.suite,
    ]

    def ours(_number: int) -> float:
        return seconds(lambda: own.tool("image", "build", IMAGE, "--force"))

    def theirs(number: int) -> float:
        tar = workshop.folder / f"root-{number}.tar"
        taken = seconds(lambda: workshop.call([*plain, tar]))
        Path(tar).unlink()
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
