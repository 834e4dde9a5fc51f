"""Recipe `bootstrap`: a Debian disk from packages alone, without root, loop device or installer.

mmdebstrap makes the file system; the scripts in `guest/` run in it, settle what starts at boot and write the disk.
As an ordinary user all of it happens in a user namespace. Such a namespace may not reach our folder, so the disk
is handed in as standard input and everything else as one tar stream.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from kvm_action.images import qemu_img
from kvm_action.images.addresses import shown
from kvm_action.images.guest_files import Disk, guest_files, guest_tar
from kvm_action.images.mirror import Mirror, source_lines
from kvm_action.images.mmdebstrap import Job, run_job
from kvm_action.images.model import Facts, Image, Input, Package
from kvm_action.images.recipes import Recipe, Script
from kvm_action.images.store import Store
from kvm_action.images.tools import MMDEBSTRAP, NEWUIDMAP, QEMU_IMG, SETPRIV, require_all, require_space
from kvm_action.units import format_size

Progress = Callable[[str], None]

_SPACE = 2 << 30
_ALLOWED = timedelta(minutes=30)


@dataclass(frozen=True, kw_only=True)
class Order:
    """A recipe, what its image is to be called, and where packages come from (None: mmdebstrap's own choice)."""

    recipe: Recipe
    name: str
    mirror: Mirror | None


def build(store: Store, order: Order, progress: Progress, *, force: bool = False) -> Image:
    """Make an image and put it into ``store``.

    An image that this very recipe has made before is used again, unless ``force``. Raises ImageError, HostError.
    """
    wait = f"another process makes {order.name}; waiting for it"
    with store.lock(order.name, on_wait=lambda: progress(wait)):
        if not force and (image := _made_before(store, order)):
            return image
        with store.workplace(order.name) as folder:
            return _make(store, order, folder, progress)


def mark(recipe: Recipe) -> str:
    """The recipe's name and a digest of all that we put in; another digest means a rebuild is worth it."""
    script = recipe.script.content if recipe.script else b""
    content = repr((recipe, recipe.packages, script, sorted(guest_files().items())))
    return f"bootstrap/{recipe.name}@{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def inputs_of(order: Order) -> tuple[Input, ...]:
    """What the image's manifest tells of what it was made of, beside its packages."""
    recipe, mirror = order.recipe, order.mirror
    said = {
        "suite": recipe.suite,
        "mirror": shown(mirror.main) if mirror else "mmdebstrap's default",
        "security mirror": shown(mirror.security) if mirror and mirror.security else "",
        "extra packages": " ".join(recipe.extra),
        "size": format_size(recipe.disk_bytes),
        "script": _told(recipe.script) if recipe.script else "",
    }
    return tuple(Input(name=name, value=value) for name, value in said.items() if value)


def _told(script: Script) -> str:
    return f"{script.name} sha256:{hashlib.sha256(script.content).hexdigest()}"


def _made_before(store: Store, order: Order) -> Image | None:
    image = store.find(order.name)
    return image if image and image.recipe == mark(order.recipe) else None


def _make(store: Store, order: Order, folder: Path, progress: Progress) -> Image:
    _require_host(folder)
    recipe = order.recipe
    job = _job(order, folder, log=_log_file(store, order.name))
    run_job(job, progress, _ALLOWED)
    progress("writing the image")
    image = folder / "disk.qcow2"
    qemu_img.convert(job.disk_file, "raw", image)
    progress("checking it and putting it into the store")
    facts = Facts(
        firmware=recipe.firmware,
        os=recipe.name,
        recipe=mark(recipe),
        inputs=inputs_of(order),
        packages=packages_of(job.report / "packages"),
    )
    return store.add(order.name, image, facts)


def _job(order: Order, folder: Path, log: Path) -> Job:
    """The files for mmdebstrap, and what it is to do with them."""
    recipe = order.recipe
    disk = Disk(firmware=recipe.firmware, bytes=recipe.disk_bytes, file_system=uuid4())
    archive = folder / "guest.tar"
    archive.write_bytes(guest_tar(disk, recipe.script.content if recipe.script else None))
    return Job(
        suite=recipe.suite,
        packages=recipe.packages,
        sources=source_lines(order.mirror, recipe.suite) if order.mirror else (),
        guest_tar=archive,
        script=recipe.script.name if recipe.script else "",
        disk_file=_empty_disk(folder / "disk.raw", disk.bytes),
        disk=disk,
        report=folder / "report",
        log=log,
    )


def packages_of(listing: Path) -> tuple[Package, ...]:
    """The packages in dpkg-query's listing (name, tab, version)."""
    rows = (line.split("\t") for line in listing.read_text().splitlines())
    return tuple(Package(name=name, version=version) for name, version in rows)


def _require_host(folder: Path) -> None:
    ordinary = [NEWUIDMAP] if os.geteuid() != 0 else []
    require_all([MMDEBSTRAP, QEMU_IMG, SETPRIV, *ordinary])
    require_space(folder, _SPACE, "the image")
    require_space(Path(tempfile.gettempdir()), _SPACE, "the new file system")


def _empty_disk(path: Path, size: int) -> Path:
    """A sparse file that anybody may write who is handed it; the folder around it is closed."""
    with path.open("wb") as file:
        file.truncate(size)
    path.chmod(0o666)
    return path


def _log_file(store: Store, name: str) -> Path:
    log = store.root / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    return log
