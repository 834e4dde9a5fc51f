"""Where the installer's kernel and initramfs come from: Debian's netboot package, or an ISO file."""

from dataclasses import dataclass
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
_SOURCES: Final = "apt/sources.list"
_A_UDEB: Final = "finish-install"
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


@dataclass(frozen=True)
class OwnApt:
    """apt with lists and sources of its own, so that the host's release does not matter. It needs no root."""

    recipe: Recipe
    folder: Path
    command: tuple[str, ...]

    def download(self, package: str) -> Path | str:
        """A package's file, verified; or in apt's words why not."""
        got = proc.run([*self.command, "download", package], timeout=_DOWNLOAD, cwd=self.folder)
        return next(self.folder.glob(f"{package}_*"), got.last_words) if got.ok else got.last_words


def own_apt(recipe: Recipe, mirror: Mirror, folder: Path) -> OwnApt:
    """apt that knows what ``mirror`` has for the recipe's release. Raises HostError when it cannot be asked."""
    require_all([Tool("apt-get", "apt"), Tool("dpkg-deb", "dpkg")])
    apt = OwnApt(recipe, folder, _command(recipe, mirror, folder))
    updated = proc.run([*apt.command, "update"], timeout=_DOWNLOAD)
    if not updated.ok or "Failed to fetch" in updated.stderr:
        raise HostError(
            f"the mirror does not serve {recipe.suite}: {updated.last_words}",
            hint="is it reachable (`sudo apt-get update`)? or give an ISO file with --iso",
        )
    return apt


def from_package(apt: OwnApt) -> Medium:
    """The installer of the recipe's release, out of its netboot package. Raises ImageError when there is none."""
    package = package_of(apt.recipe)
    got = apt.download(package)
    if not isinstance(got, Path):
        raise ImageError(
            f"the mirror has no package {package}: {got}", hint="give the release's netinst ISO with --iso"
        )
    return _unpacked(apt.recipe, got, apt.folder)


def require_udebs(apt: OwnApt) -> None:
    """Raise ImageError unless the mirror has the installer's own packages: most of the installer is fetched."""
    sources = apt.folder / _SOURCES
    sources.write_text(sources.read_text().replace(" main\n", " main main/debian-installer\n"))
    updated = proc.run([*apt.command, "update"], timeout=_DOWNLOAD)
    got = apt.download(_A_UDEB) if updated.ok else updated.last_words
    if not isinstance(got, Path):
        raise ImageError(
            f"the mirror has no packages for the installer itself (udeb), such as {_A_UDEB}: {got}",
            hint="many mirrors and caches leave them out; name a whole one with --mirror, or give a netinst ISO",
        )


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


def _command(recipe: Recipe, mirror: Mirror, folder: Path) -> tuple[str, ...]:
    for place in ("lists/partial", "archives/partial"):
        (folder / "apt" / place).mkdir(parents=True)
    sources = folder / _SOURCES
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
    told = (word for key, value in options.items() for word in ("-o", f"{key}={value}"))
    return ("apt-get", "--quiet", *told)


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
