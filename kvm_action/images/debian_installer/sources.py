"""Where the installer's kernel and initramfs come from: Debian's netboot package, or an ISO file."""

from datetime import timedelta
from pathlib import Path
from typing import Final

from kvm_action import iso, proc
from kvm_action.digest import sha256_of
from kvm_action.errors import HostError, ImageError
from kvm_action.images.debian_installer.medium import WHICH_ISO, Medium, medium_of
from kvm_action.images.mirror import Mirror, source_lines
from kvm_action.images.recipes import Recipe
from kvm_action.images.tools import Tool, require_all

_DOWNLOAD: Final = timedelta(minutes=15)
_IN_PACKAGE: Final = "usr/lib/debian-installer/images/{release}/amd64/text/debian-installer/amd64"
_ON_ISO: Final = (
    ("/install.amd/vmlinuz", "/install.amd/initrd.gz"),
    ("/linux", "/initrd.gz"),
)
"""Kernel and initramfs: of the netinst ISO and the DVDs, and of the mini.iso."""
_OTHERS: Final = {"/casper/vmlinuz": "Ubuntu's live system", "/live/vmlinuz": "a live system"}


def package_of(recipe: Recipe) -> str:
    """The package that brings the installer of a release."""
    return f"debian-installer-{_release(recipe)}-netboot-amd64"


def from_package(recipe: Recipe, mirror: Mirror, folder: Path) -> Medium:
    """Download the netboot package of the recipe's release, verified by apt, and unpack it in ``folder``.

    apt is given lists and sources of its own, so that the host's release does not matter, and needs no root.
    Raises ImageError when there is no such package, HostError when apt cannot be asked.
    """
    require_all([Tool("apt-get", "apt"), Tool("dpkg-deb", "dpkg")])
    package, apt = package_of(recipe), _own_apt(recipe, mirror, folder)
    updated = proc.run([*apt, "update"], timeout=_DOWNLOAD)
    if not updated.ok or "Failed to fetch" in updated.stderr:
        raise HostError(
            f"the mirror of this host's apt does not serve {recipe.suite}: {updated.last_words}",
            hint="is it reachable (`sudo apt-get update`)? or give an ISO file with --iso",
        )
    got = proc.run([*apt, "download", package], timeout=_DOWNLOAD, cwd=folder)
    if not got.ok:
        raise ImageError(
            f"the mirror of this host's apt has no package {package}: {got.last_words}",
            hint="give the release's netinst ISO with --iso",
        )
    return _unpacked(recipe, next(folder.glob(f"{package}_*.deb")), folder)


def from_iso(recipe: Recipe, disc: Path, folder: Path) -> Medium:
    """Take kernel and initramfs out of an ISO file. Raises ImageError when it is none, or no Debian installer."""
    if not disc.is_file():
        raise ImageError(f"there is no ISO file {disc}", hint="check the path given to --iso")
    kernel, initrd = folder / "linux", folder / "initrd.gz"
    for pair in _ON_ISO:
        if len(_extract(disc, dict(zip(pair, (kernel, initrd), strict=True)))) == 2:
            return medium_of(kernel, initrd, str(disc), recipe, disc.absolute())
    found = _extract(disc, dict.fromkeys(_OTHERS, folder / "other"))
    what = next((_OTHERS[path] for path in found), "something else")
    raise ImageError(f"{disc} is no Debian installer, but {what}: it has no {_ON_ISO[0][0]}", hint=WHICH_ISO)


def _extract(disc: Path, wanted: dict[str, Path]) -> set[str]:
    try:
        return iso.extract(disc, wanted)
    except ValueError as error:
        raise ImageError(f"{disc} is no ISO file, or a damaged one: {error}", hint=WHICH_ISO) from error


def _own_apt(recipe: Recipe, mirror: Mirror, folder: Path) -> list[str]:
    for place in ("lists/partial", "archives/partial"):
        (folder / "apt" / place).mkdir(parents=True)
    sources = folder / "apt/sources.list"
    sources.write_text(source_lines(mirror, recipe.suite)[0].replace("deb [", "deb [arch=amd64 ", 1) + "\n")
    (folder / "apt/status").touch()
    options = {
        "Dir::State::lists": folder / "apt/lists",
        "Dir::State::status": folder / "apt/status",
        "Dir::Cache::archives": folder / "apt/archives",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "-",
        "Dir::Etc::preferencesparts": "-",
        "APT::Architecture": "amd64",
        "APT::Architectures": "amd64",
        "APT::Sandbox::User": "root",  # where we are root, the sandbox's user could not reach our folder
        "Acquire::Languages": "none",
    }
    return ["apt-get", "--quiet", *(word for key, value in options.items() for word in ("-o", f"{key}={value}"))]


def _unpacked(recipe: Recipe, package: Path, folder: Path) -> Medium:
    done = proc.run(["dpkg-deb", "--extract", package, folder / "package"], timeout=_DOWNLOAD)
    place = folder / "package" / _IN_PACKAGE.format(release=_release(recipe))
    kernel, initrd = place / "linux", place / "initrd.gz"
    if not done.ok or not kernel.is_file() or not initrd.is_file():
        raise ImageError(f"{package.name} holds no installer: {done.last_words}")
    version = package.name.split("_")[1].replace("%3a", ":")
    return medium_of(kernel, initrd, f"{package_of(recipe)} {version}", recipe)


def digest_of(medium: Medium) -> str:
    """The sha256 of the ISO file, or else of the installer's initramfs."""
    return sha256_of(medium.disc or medium.initrd)


def _release(recipe: Recipe) -> str:
    return recipe.name.partition("-")[2]
