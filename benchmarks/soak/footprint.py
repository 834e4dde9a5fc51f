"""A look at this host: what runs have left, and how large those are that serve them."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.soak.samples import Footprint
from kvm_action.frozen.memory_file import SHARED_MEMORY
from kvm_action.hypervisor.connection import ROOT_RUNTIME, Connection
from kvm_action.hypervisor.domain_xml import domain_name
from kvm_action.hypervisor.owned import owned_domains
from kvm_action.paths import Home


@dataclass(frozen=True)
class Watch:
    """Looks at one home, and at the daemon behind ``connection``, which stays as long as that is open."""

    home: Home
    connection: Connection

    def look(self) -> Footprint:
        """Now."""
        daemon, own = self._daemon(), psutil.Process()
        files = list(_files(self.home.root))
        return Footprint(
            libvirt_rss=daemon.memory_info().rss if daemon else None,
            libvirt_descriptors=daemon.num_fds() if daemon else None,
            own_rss=own.memory_info().rss,
            own_descriptors=own.num_fds(),
            home_files=len(files),
            home_bytes=sum(map(_occupied, files)),
            run_folders=len(list(self.home.runs.glob("*"))),
            shared_memory=sum(map(_occupied, _files(SHARED_MEMORY / f"kvm-e2e-{os.getuid()}"))),
            machines=len(list(self._machines())),
            domains=sum(1 for each in owned_domains(self.connection) if self._is_ours(each.lease.folder)),
            logs=len(self._logs()),
        )

    def _logs(self) -> list[Path]:
        folder = self.connection.log_folder
        return list(folder.glob(f"{domain_name('')}*.log")) if folder else []

    def _daemon(self) -> psutil.Process | None:
        for file in _pid_files(self.connection):
            with suppress(OSError, ValueError, psutil.Error):
                return psutil.Process(int(file.read_text()))
        return None

    def _machines(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter(["name", "cmdline"]):
            words = process.info["cmdline"] or ()
            if "qemu-system" in process.info["name"] and any(str(self.home.runs) in word for word in words):
                yield process

    def _is_ours(self, folder: str) -> bool:
        return Path(folder).is_relative_to(self.home.runs)


def _pid_files(connection: Connection) -> list[Path]:
    if connection.is_system:
        return [Path("/run/libvirtd.pid"), Path("/run/virtqemud.pid")]
    mine = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    runtime = ROOT_RUNTIME if str(ROOT_RUNTIME) in connection.uri else Path(mine)
    return [runtime / "libvirt/libvirtd.pid", runtime / "libvirt/virtqemud.pid"]


def _files(folder: Path) -> Iterator[Path]:
    """Other runs take theirs away meanwhile."""
    for path, _folders, names in os.walk(folder):
        yield from (Path(path, name) for name in names)


def _occupied(file: Path) -> int:
    with suppress(OSError):
        return file.lstat().st_blocks * 512
    return 0
