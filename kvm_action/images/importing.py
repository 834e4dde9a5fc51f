"""Taking a disk file from outside into the store, after proof that it is what was promised."""

from collections.abc import Callable
from pathlib import Path

from kvm_action.digest import sha256_of
from kvm_action.errors import ImageError
from kvm_action.images import qemu_img
from kvm_action.images.model import Facts, Firmware, Image
from kvm_action.images.reference import require_name
from kvm_action.images.store import Store
from kvm_action.images.tools import require_space


def import_file(
    store: Store, source: Path, *, name: str, facts: Facts, sha256: str, progress: Callable[[str], None]
) -> Image:
    """Copy a qcow2, raw or vmdk file into the store as qcow2, under ``name``.

    Raises ImageError when its sha256 is another, when it is damaged, or when it needs a second file.
    """
    require_name(name)
    progress(f"looking at {source}")
    info = qemu_img.require_sound(source)
    require_sha256(source, sha256)
    wait = f"another process makes {name}; waiting for it"
    with store.lock(name, on_wait=lambda: progress(wait)), store.workplace(name) as folder:
        require_space(folder, source.stat().st_size, f"a copy of {source}")
        progress("copying it into the store")
        disk = folder / "disk.qcow2"
        qemu_img.convert(source, info.format, disk)
        return store.add(name, disk, facts)


def require_sha256(path: Path, expected: str) -> None:
    """Raise ImageError unless the file's sha256 is ``expected`` (hexadecimal digits, any case)."""
    found = sha256_of(path)
    if found != expected.strip().lower():
        raise ImageError(
            f"{path} is not the file that was promised: sha256 {found}, expected {expected.strip().lower()}",
            hint="compare it with the publisher's checksum; a download that broke off has another one too",
        )


def imported(firmware: Firmware, os: str) -> Facts:
    """The facts of an image that somebody else made."""
    return Facts(firmware=firmware, os=os, recipe="import")
