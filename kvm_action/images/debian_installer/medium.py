"""An installer that can be started: its kernel and initramfs, and what the initramfs says of itself."""

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kvm_action.errors import ImageError
from kvm_action.images.debian_installer import cpio
from kvm_action.images.recipes import RECIPES, Recipe

_RELEASE: Final = "etc/lsb-release"
_SUITE: Final = "etc/default-release"
_TEXT: Final = "usr/lib/cdebconf/frontend/text.so"


@dataclass(frozen=True, kw_only=True)
class Medium:
    """``origin`` says in words where it came from. ``disc`` is what it installs from, if not from a network."""

    kernel: Path
    initrd: Path
    origin: str
    build: str
    """Such as ``12 (bookworm) - installer build 20230607+deb12u15``."""
    disc: Path | None = None


def medium_of(kernel: Path, initrd: Path, origin: str, recipe: Recipe, disc: Path | None = None) -> Medium:
    """Look into ``initrd``. Raises ImageError when it is not Debian's installer, or another release's."""
    said = _said_by(initrd, origin)
    if "installer build" not in said.get(_RELEASE, ""):
        raise ImageError(f"{origin} holds a system, but not Debian's installer", hint=WHICH_ISO)
    if _TEXT not in said:
        raise ImageError(f"the installer in {origin} cannot be operated by a serial console", hint=WHICH_ISO)
    if (suite := said.get(_SUITE, "").strip()) != recipe.suite:
        meant = next((name for name, each in RECIPES.items() if each.suite == suite), "")
        raise ImageError(
            f"{origin} installs {suite or 'an unknown release'}, and {recipe.name} is {recipe.suite}",
            hint=f"kvm-e2e image build {meant} --method installer" if meant else "take the ISO of that release",
        )
    return Medium(kernel=kernel, initrd=initrd, origin=origin, build=_build(said[_RELEASE]), disc=disc)


WHICH_ISO: Final = "take Debian's netinst ISO or mini.iso, or leave --iso out: a package then brings the installer"


def _said_by(initrd: Path, origin: str) -> dict[str, str]:
    """The few files that tell, by name."""
    wanted: dict[str, str] = {}
    try:
        with gzip.open(initrd) as stream:
            for name, content in cpio.members(stream):
                if name in (_RELEASE, _SUITE, _TEXT):
                    wanted[name] = "" if name == _TEXT else content.decode(errors="replace")
                if len(wanted) == 3:
                    break
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise ImageError(f"the initramfs in {origin} cannot be read: {error}", hint=WHICH_ISO) from error
    return wanted


def _build(release: str) -> str:
    fields = dict(line.split("=", 1) for line in release.splitlines() if "=" in line)
    return fields.get("DISTRIB_RELEASE", "").strip('"')


def add_files(medium: Medium, files: dict[str, bytes], own_folder: str) -> None:
    """Let the installer find ``files`` when it starts: the kernel unpacks a second archive over the first."""
    with medium.initrd.open("r+b") as file:
        file.write(bytes(-file.seek(0, 2) % 4))
        file.write(cpio.archive(files, own_folder))
