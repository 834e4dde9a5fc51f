"""Where things live on the host. One variable, KVM_E2E_HOME, moves all of it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kvm_action.errors import HostError

VARIABLE: Final = "KVM_E2E_HOME"


@dataclass(frozen=True)
class Home:
    """The tool's own folder: images, and one folder a run."""

    root: Path

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> "Home":
        """``$KVM_E2E_HOME``, else ``$XDG_DATA_HOME/kvm-e2e``, else ``~/.local/share/kvm-e2e``.

        It need not be there yet. Raises HostError when $KVM_E2E_HOME is, or leads through, what is no folder.
        """
        if chosen := environ.get(VARIABLE):
            root = Path(chosen).absolute()
            there = next(path for path in (root, *root.parents) if os.path.lexists(path))
            if not there.is_dir():
                raise HostError(f"{VARIABLE} is {chosen}, and {there} is no folder", "name a folder, or unset it")
            return cls(root)
        data = environ.get("XDG_DATA_HOME")
        return cls((Path(data) if data else Path.home() / ".local/share") / "kvm-e2e")

    @property
    def images(self) -> Path:
        """The image store."""
        return self.root / "images"

    @property
    def cache(self) -> Path:
        """What can be had again."""
        return self.root / "cache"

    @property
    def runs(self) -> Path:
        """One folder a run, with its lease; removed with it."""
        return self.root / "runs"

    @property
    def probes(self) -> Path:
        """What was found out about this host."""
        return self.root / "probes"

    @property
    def templates(self) -> Path:
        """Machines frozen after their boot, that runs start from."""
        return self.root / "templates"

    @property
    def containers(self) -> Path:
        """The same for runs in containers; apart, because libvirt knows nothing of them."""
        return self.root / "containers"

    @property
    def session(self) -> Path:
        """Runtime folder of a libvirt daemon of our own (needed by root only). Kept short: it holds sockets."""
        return self.root / "session"
