"""Building the Debian 12 image from packages, beside mmdebstrap alone and Debian's maker of test images."""

from pathlib import Path

from benchmarks.debian_builder import builder
from benchmarks.reading import Reading
from benchmarks.workshop import Workshop, seconds
from kvm_action.images import mirror
from kvm_action.images.recipes import RECIPES, Recipe

SECONDS, RATIO = 60, 1.0
IMAGE = "debian-12"


def measure(workshop: Workshop) -> list[Reading]:
    """Two pairs, of minutes each."""
    recipe, own = RECIPES[IMAGE], _at_home(workshop)

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


def measure_uefi(workshop: Workshop) -> list[Reading]:
    """Two pairs: Debian's maker makes EFI disks, so ours does."""
    recipe, own = RECIPES[IMAGE], _at_home(workshop)
    with builder(workshop) as debians:

        def ours(_number: int) -> float:
            return seconds(lambda: own.tool("image", "build", IMAGE, "--firmware", "uefi", "--force"))

        def theirs(_number: int) -> float:
            taken = seconds(lambda: workshop.call(debians.command(recipe.suite, recipe.disk_bytes)))
            (debians.place / "disk.img").unlink()
            return taken

        taken = workshop.interleaved(workshop.count(2), ours, theirs)
    return [
        Reading(
            name=f"image build {IMAGE} --firmware uefi",
            unit="s",
            ours=taken[0],
            theirs=taken[1],
            against="mmdebstrap-autopkgtest-build-qemu",
            at_most=SECONDS,
            ratio_at_most=RATIO,
            includes="a bootable EFI disk; ours: with cloud-init and SSH server, as qcow2, checked, in the store; "
            "theirs: Debian's standard kernel and `important` packages, with autopkgtest's set-up, raw",
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


def _at_home(workshop: Workshop) -> Workshop:
    """With a store of its own."""
    home = {"KVM_E2E_HOME": str(workshop.folder / "home")}
    return Workshop(workshop.folder, workshop.say, workshop.samples, home)
