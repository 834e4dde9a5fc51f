"""What we add to the installer's initramfs: the answers, two scripts of its own, and what an image must have."""

from pathlib import Path
from typing import Final

from kvm_action.images.debian_installer.preseed import Preseed, packages_for
from kvm_action.images.guest_files import SCRIPTS, guest_files
from kvm_action.images.recipes import Recipe

FOLDER: Final = "kvm-e2e"
_FILES: Final = Path(__file__).parent / "files"
_PLACES: Final = {
    "startup.sh": "lib/debian-installer-startup.d/S11kvm-e2e",  # after S10syslog
    "finish.sh": "usr/lib/finish-install.d/94zz-kvm-e2e",  # after 94save-logs, before 95umount
    "complete.sh": f"{FOLDER}/complete.sh",
}
_INITRAMFS: Final = "initramfs-tools"
"""Ours is made for a disk that we have laid out ourselves; the installer's own choice fits what it has made."""


def payload(preseed: Preseed, recipe: Recipe) -> dict[str, bytes]:
    """Contents by path in the installer's root."""
    files = {place: (_FILES / name).read_bytes() for name, place in _PLACES.items()}
    packages = " ".join(packages_for(recipe)) + "\n"
    return files | _guest() | {"preseed.cfg": preseed.text.encode(), f"{FOLDER}/packages.list": packages.encode()}


def _guest() -> dict[str, bytes]:
    files = guest_files()
    tree = {
        f"{FOLDER}/tree{path}": content
        for path, content in files.items()
        if not path.startswith(SCRIPTS) and _INITRAMFS not in path
    }
    return tree | {f"{FOLDER}/customize.sh": files[f"{SCRIPTS}/customize.sh"]}
