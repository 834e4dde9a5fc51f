"""Recipe `bootstrap`: a Debian disk from packages alone, without root, loop device or installer.

mmdebstrap makes the file system; the scripts in `guest/` run in it, settle what starts at boot and write the disk.
As an ordinary user all of it happens in a user namespace. Such a namespace may not reach our folder, so the disk
is handed in as standard input and everything else as one tar stream.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from kvm_action.images import mirror, qemu_img
from kvm_action.images.guest_files import Disk, guest_files, guest_tar
from kvm_action.images.mmdebstrap import Job, run_job
from kvm_action.images.model import Facts, Firmware, Image, Package
from kvm_action.images.recipes import RECIPES, Recipe
from kvm_action.images.reference import unknown
from kvm_action.images.store import Store
from kvm_action.images.tools import MMDEBSTRAP, NEWUIDMAP, QEMU_IMG, SETPRIV, require_all, require_space

Progress = Callable[[str], None]

_SPACE = 2 << 30
_ALLOWED = timedelta(minutes=30)


def build(store: Store, recipe_name: str, progress: Progress, *, force: bool = False) -> Image:
    """Make the image ``recipe_name`` and put it into ``store`` under the same name.

    An image that this very recipe has made before is used again, unless ``force``. Raises ImageError, HostError.
    """
    if (recipe := RECIPES.get(recipe_name)) is None:
        raise unknown(recipe_name, [])
    wait = f"another process makes {recipe_name}; waiting for it"
    with store.lock(recipe_name, on_wait=lambda: progress(wait)):
        if not force and (image := _made_before(store, recipe)):
            return image
        with store.workplace(recipe_name) as folder:
            return _make(store, recipe, folder, progress)


def mark(recipe: Recipe) -> str:
    """The recipe's name and a digest of all that we put in; another digest means a rebuild is worth it."""
    content = repr((recipe, sorted(guest_files().items())))
    return f"bootstrap/{recipe.name}@{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def _made_before(store: Store, recipe: Recipe) -> Image | None:
    image = store.find(recipe.name)
    return image if image and image.recipe == mark(recipe) else None


def _make(store: Store, recipe: Recipe, folder: Path, progress: Progress) -> Image:
    _require_host(folder)
    disk = Disk(file_system=str(uuid4()), bytes=recipe.disk_bytes)
    raw = _empty_disk(folder / "disk.raw", disk.bytes)
    archive = folder / "guest.tar"
    archive.write_bytes(guest_tar(disk))
    host_mirror = mirror.of_this_host()
    job = Job(
        suite=recipe.suite,
        packages=recipe.packages,
        sources=mirror.source_lines(host_mirror, recipe.suite) if host_mirror else (),
        guest_tar=archive,
        disk_file=raw,
        disk=disk,
        report=folder / "report",
        log=_log_file(store, recipe),
    )
    run_job(job, progress, _ALLOWED)
    progress("writing the image")
    image = folder / "disk.qcow2"
    qemu_img.convert(raw, "raw", image)
    progress("checking it and putting it into the store")
    facts = Facts(
        firmware=Firmware.BIOS, os=recipe.name, recipe=mark(recipe), packages=packages_of(job.report / "packages")
    )
    return store.add(recipe.name, image, facts)


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


def _log_file(store: Store, recipe: Recipe) -> Path:
    log = store.root / "logs" / f"{recipe.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    return log
