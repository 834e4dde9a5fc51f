"""What is carried into the rig: checkout, the page's commands, Python packages, a base image, the scenarios."""

import hashlib
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

from runner_page import PAGE, Block, blocks_of, step

from kvm_action.images.store import Store
from kvm_action.paths import Home

REPOSITORY: Final = Path(__file__).parents[2]
PYTHONS: Final = {"debian-12": "3.11", "debian-13": "3.13"}
"""The images that a rig can be made of, and Debian's Python in each."""
PLATFORMS: Final = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
BUILT_THERE: Final = "libvirt-python"
"""It has no wheel: it is built against the libvirt of the machine."""
MODULES, NETWORK = 3, 6
"""The steps of the page that load KVM's modules, and that set up a libvirt network."""


def pack(image: str, folder: Path) -> Path:
    """Put everything into ``folder``; returns the plan that takes it along."""
    shutil.rmtree(folder, ignore_errors=True)
    load = folder / "load"
    shutil.copytree(Path(__file__).parent / "load", load, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("plan.yml", "on_the_runner.py"):
        shutil.copy(Path(__file__).parent / name, folder / name)
    pack_checkout(load / "checkout")
    write_blocks(for_this_machine(PAGE.read_text()), load / "page")
    write_blocks(step(NETWORK), load / "network")
    pack_wheels(PYTHONS[image], load / "wheels")
    pack_image(image, load)
    return folder / "plan.yml"


def pack_checkout(into: Path) -> None:
    """The tree as it is committed."""
    into.mkdir()
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=REPOSITORY, check=True, capture_output=True).stdout
    subprocess.run(["tar", "--extract", "--directory", into], input=archive, check=True)


def for_this_machine(page: str) -> list[Block]:
    """What can be run as it stands, and the modules: those of AMD, whose virtualization is what QEMU emulates."""
    chosen = [
        block
        for block in blocks_of(page)
        if block.kind in ("bash", "sh") or block.heading.startswith(f"{MODULES}. ")
    ]
    return [replace(block, commands=block.commands.replace("kvm_intel", "kvm_amd")) for block in chosen]


def write_blocks(blocks: list[Block], into: Path) -> None:
    """A file for each, in the page's order; its suffix is its kind."""
    into.mkdir()
    for number, block in enumerate(blocks, 1):
        (into / f"{number:02}.{block.kind}").write_text(block.commands)


def pack_wheels(python: str, into: Path) -> None:
    """What the action installs, in the versions it locks, for the Python of the machine; and what builds it."""
    target = ["--python-version", python, *(word for name in PLATFORMS for word in ("--platform", name))]
    locked = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-binary", BUILT_THERE]
    for lock in ("requirements.txt", "requirements-build.txt"):
        download([*target, *locked, "--requirement", REPOSITORY / "tools" / lock], into)
    download([*target, "--only-binary", ":all:", "hatchling"], into)


def download(words: list[str | Path], into: Path) -> None:
    """By pip, from wherever this host's pip takes its packages."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--dest", into, *words], check=True)


def pack_image(name: str, load: Path) -> None:
    """The image of this user's store, made smaller for the way, with the sha256 of what arrives."""
    image = Store(Home.from_environ().images).get(name)
    carried = load / "image.qcow2"
    subprocess.run(
        ["qemu-img", "convert", "-c", "-O", "qcow2", "-o", "compression_type=zstd", image.path, carried],
        check=True,
    )
    with carried.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    (load / "image").write_text(f"{name} {digest}\n")
