"""Debian's own rootless maker of test images, mmdebstrap-autopkgtest-build-qemu, as something to measure.

It comes with Debian 13 and needs Debian 13's mke2fs. Where the host is older it runs in a folder of Debian 13's
files, by chroot, which takes root; making that folder is not timed. It makes EFI disks only.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Final

from benchmarks.reading import CannotMeasure
from benchmarks.workshop import Workshop
from kvm_action.images import mirror

PROGRAM: Final = "mmdebstrap-autopkgtest-build-qemu"
_PACKAGES: Final = (
    "mmdebstrap,autopkgtest,dosfstools,e2fsprogs,fdisk,mount,mtools,passwd,uidmap,libarchive13t64,systemd-boot-efi,"
    "binutils,dpkg-dev,debian-archive-keyring,ca-certificates,arch-test,gpg,perl"
)
_IN_CHROOT: Final = (
    "set -eu; for place in proc dev sys; do mount --rbind /$place $1/$place; done; "
    'root=$1; shift; exec chroot "$root" "$@"'
)


@dataclass(frozen=True)
class Builder:
    """``prefix`` goes before the command; ``place`` is the folder that it sees as ``seen``."""

    prefix: Sequence[str | Path]
    place: Path
    seen: str

    def command(self, suite: str, size: int) -> list[str | Path]:
        """Makes ``disk.img`` in `place`."""
        host = mirror.of_this_host()
        address = [f"--mirror={host.main}"] if host else []
        gib = f"--size={size >> 30}G"
        return [*self.prefix, PROGRAM, "--boot=efi", gib, *address, suite, f"{self.seen}/disk.img"]


@contextmanager
def builder(workshop: Workshop) -> Iterator[Builder]:
    """It, ready to be called. Raises CannotMeasure."""
    place = workshop.folder / "theirs"
    place.mkdir()
    if which(PROGRAM):
        yield Builder((), place, str(place))
        return
    if os.geteuid() != 0:
        raise CannotMeasure(
            f"no {PROGRAM} on this host, and only root can call it in a folder of Debian 13's files"
        )
    root = workshop.folder / "trixie"
    workshop.say("  a folder of Debian 13's files, to call Debian's builder in")
    workshop.call(_debian_13(root))
    (root / "etc/subuid").write_text("root:100000:65536\n")
    (root / "etc/subgid").write_text("root:100000:65536\n")
    yield Builder(("unshare", "--mount", "sh", "-c", _IN_CHROOT, "sh", root), root / "var/tmp", "/var/tmp")


def _debian_13(root: Path) -> list[str | Path]:
    host = mirror.of_this_host()
    lines = mirror.source_lines(mirror.Mirror(main=host.main), "trixie") if host else ()
    return ["mmdebstrap", "--variant=apt", f"--include={_PACKAGES}", "trixie", root, *lines]
