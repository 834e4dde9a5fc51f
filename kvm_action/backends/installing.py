"""Recipe `installer`: Debian's own installer, unattended, in a machine of its own; the disk becomes an image.

What the installer is told and what it says is `images.debian_installer`'s; here it is put into a machine.
"""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from kvm_action import accel
from kvm_action.admission import Need
from kvm_action.backends.install_watch import InstallWatch, Progress, target_disk, watching_installation
from kvm_action.backends.queueing import queued_for
from kvm_action.backends.reaping import reap
from kvm_action.digest import sha256_of
from kvm_action.errors import HostError, PlanError
from kvm_action.hypervisor.connection import open_connection
from kvm_action.hypervisor.domain import Domain
from kvm_action.hypervisor.domain_xml import domain_name, random_mac
from kvm_action.hypervisor.installation import InstallationSpec, installing
from kvm_action.images import qemu_img
from kvm_action.images.debian_installer.medium import Medium, add_files
from kvm_action.images.debian_installer.payload import FOLDER, payload
from kvm_action.images.debian_installer.preseed import Preseed, default_preseed, own_preseed, unknown_mirror
from kvm_action.images.debian_installer.sources import digest_of, from_iso, from_package, own_apt, require_udebs
from kvm_action.images.mirror import Mirror
from kvm_action.images.model import Facts, Firmware, Image, Input
from kvm_action.images.recipes import Recipe
from kvm_action.images.store import Store
from kvm_action.images.tools import require_space
from kvm_action.plan.model import Accel
from kvm_action.runs import RunFolder, new_run_id, run_folder
from kvm_action.units import format_size
from kvm_action.wait import Deadline, until

METHOD: Final = "installer"
MEMORY: Final = 1 << 30
CPUS: Final = 2
LEAST_DISK: Final = 2 << 30
"""For our own preseed; whether another one fits is seen when the installer partitions the disk."""
_SPACE: Final = 4 << 30
_ARGUMENTS: Final = "auto=true priority=critical DEBIAN_FRONTEND=text DEBCONF_DEBUG=5 quiet console=ttyS0,115200"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is to be installed. Without a ``preseed`` our own; without a ``disc`` the netboot package's."""

    recipe: Recipe
    name: str
    mirror: Mirror | None
    preseed: Path | None = None
    disc: Path | None = None
    accel: Accel = Accel.AUTO


def install(store: Store, runs: Path, wish: Wish, progress: Progress, *, force: bool = False) -> Image:
    """Make the image and put it into ``store``. One that was made of the same things is used again.

    Raises PlanError for a preseed that cannot be read, ImageError, HostError. Nothing is left then but the logs.
    """
    preseed = _preseed(wish)
    recipe_mark = mark(wish, preseed)
    wait = f"another process makes {wish.name}; waiting for it"
    with store.lock(wish.name, on_wait=lambda: progress(wait)):
        if not force and (image := store.find(wish.name)) and image.recipe == recipe_mark:
            return image
        with store.workplace(wish.name) as place:
            disk, facts = _install(store, runs, wish, preseed, place, progress)
            progress("checking it and putting it into the store")
            return store.add(wish.name, disk, replace(facts, recipe=recipe_mark))


def mark(wish: Wish, preseed: Preseed) -> str:
    """The method, the release, and a digest of all that goes in; another digest means a rebuild is worth it."""
    disc = sha256_of(wish.disc) if wish.disc and wish.disc.is_file() else ""
    content = repr((wish.recipe, sorted(payload(preseed, wish.recipe).items()), disc))
    return f"{METHOD}/{wish.recipe.name}@{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def _install(
    store: Store, runs: Path, wish: Wish, preseed: Preseed, place: Path, progress: Progress
) -> tuple[Path, Facts]:
    """The disk that the installer made, and what is known of it."""
    require_space(place, _SPACE, "the installation")
    medium = _medium(wish, place, progress)
    inputs = _inputs(wish, preseed, medium)
    add_files(medium, payload(preseed, wish.recipe), FOLDER)
    image = place / "disk.qcow2"
    with _machine(store, runs, wish, medium, progress) as (domain, watch, disk):
        _wait(domain, watch)
        progress("writing the image")
        qemu_img.convert(disk, "qcow2", image)
    return image, Facts(
        firmware=Firmware.BIOS, os=wish.recipe.name, inputs=inputs, packages=tuple(watch.log.packages)
    )


def _preseed(wish: Wish) -> Preseed:
    if wish.preseed:
        return own_preseed(wish.preseed)
    if wish.mirror is None:
        raise unknown_mirror(wish.recipe)
    if wish.recipe.disk_bytes < LEAST_DISK:
        raise PlanError(
            f"a disk of {format_size(wish.recipe.disk_bytes)} is too small for the installer",
            f"--size {format_size(LEAST_DISK).replace(' ', '')} is the least",
        )
    return default_preseed(wish.recipe, wish.mirror)


def _medium(wish: Wish, place: Path, progress: Progress) -> Medium:
    if wish.disc:
        progress(f"looking into {wish.disc}")
        return from_iso(wish.recipe, wish.disc, place)
    if wish.mirror is None:
        raise unknown_mirror(wish.recipe)
    progress(f"fetching the installer of {wish.recipe.suite}")
    apt = own_apt(wish.recipe, wish.mirror, place)
    require_udebs(apt)
    return from_package(apt)


def _inputs(wish: Wish, preseed: Preseed, medium: Medium) -> tuple[Input, ...]:
    values = {
        "installer": medium.origin,
        "installer_build": medium.build,
        "installer_sha256": digest_of(medium),
        "preseed": preseed.name,
        "preseed_sha256": preseed.sha256,
        "disk": format_size(wish.recipe.disk_bytes),
    }
    return tuple(Input(name=name, value=value) for name, value in values.items())


@contextmanager
def _machine(
    store: Store, runs: Path, wish: Wish, medium: Medium, progress: Progress
) -> Iterator[tuple[Domain, InstallWatch, Path]]:
    """The machine, started, with its reader and its disk; gone at the end, also when we are killed."""
    run, chosen = new_run_id(datetime.now(UTC)), accel.choose(wish.accel)
    need = Need(memory=MEMORY, cpus=CPUS, disk=_SPACE)
    with (
        open_connection() as connection,
        queued_for(need, run, runs, progress),
        run_folder(runs, run, connection.uri) as folder,
        watching_installation(
            store.root / "logs",
            wish.name,
            progress,
            chosen.name,
            target_disk(folder.overlay, wish.recipe.disk_bytes),
        ) as watch,
    ):
        reap(connection, runs)
        qemu_img.create_empty(folder.overlay, wish.recipe.disk_bytes)
        spec = replace(_spec(folder, medium, run, chosen.name), is_system=connection.is_system)
        progress(f"installing {wish.recipe.name} on {chosen.name}: {medium.origin}")
        with installing(connection, spec, watch.on_screen, watch.on_syslog) as domain:
            yield domain, watch, folder.overlay


def _spec(folder: RunFolder, medium: Medium, run: str, accelerator: str) -> InstallationSpec:
    return InstallationSpec(
        name=domain_name(run),
        lease=folder.lease.to_json(),
        memory=MEMORY,
        cpus=CPUS,
        accel=accelerator,
        kernel=Path(shutil.move(medium.kernel, folder.path / "linux")),
        initrd=Path(shutil.move(medium.initrd, folder.path / "initrd")),
        arguments=_ARGUMENTS,
        disk=folder.overlay,
        disc=medium.disc,
        mac=random_mac(),
    )


def _wait(domain: Domain, watch: InstallWatch) -> None:
    """Until the installation has come to its end. Raises what speaks against it."""

    def look() -> str:
        if trouble := watch.trouble(domain.end):
            raise trouble
        return domain.end

    longest = Deadline(watch.longest)
    if not until(look, longest, every=0.5, woken_by=watch.woken):
        raise HostError("the installation did not come to its end", "`kvm-e2e doctor` looks into the host")
