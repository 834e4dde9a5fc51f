"""An account of an ordinary user, made for a test and removed after it with all its processes."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from tooling import REPOSITORY

from kvm_action.frozen.memory_file import SHARED_MEMORY


@dataclass(frozen=True)
class Account:
    """The user."""

    name: str
    uid: int
    gid: int
    home: Path

    def install_tool(self) -> Path:
        """A checkout of the tool and its packages below the home; returns the checkout."""
        checkout = self.home / "checkout"
        for part in ("kvm_action", "examples"):
            shutil.copytree(REPOSITORY / part, checkout / part)
        packages = Path(pytest.__file__).parents[1]
        shutil.copytree(packages, self.home / "packages", ignore=shutil.ignore_patterns("__pycache__", "*.pth"))
        return checkout

    def own_everything(self) -> None:
        subprocess.run(["chown", "-R", f"{self.uid}:{self.gid}", self.home], check=True)

    def run(
        self, argv: Sequence[str], *, cwd: Path, environment: Mapping[str, str], timeout: float = 400
    ) -> subprocess.CompletedProcess[str]:
        own = {
            "HOME": str(self.home),
            "USER": self.name,
            "LOGNAME": self.name,
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
        }
        return subprocess.run(
            argv, cwd=cwd, env={**own, **environment}, user=self.uid, group=self.gid, extra_groups=[],
            text=True, errors="replace", capture_output=True, timeout=timeout, check=False,
        )  # fmt: skip


@contextmanager
def ordinary_user() -> Iterator[Account]:
    name = f"e2e{secrets.token_hex(3)}"
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/bash", name], check=True)
    entry = pwd.getpwnam(name)
    try:
        yield Account(name, entry.pw_uid, entry.pw_gid, Path(entry.pw_dir))
    finally:
        end_processes_of(entry.pw_uid)
        subprocess.run(["userdel", "--remove", "--force", name], check=False, capture_output=True)
        shutil.rmtree(SHARED_MEMORY / f"kvm-e2e-{entry.pw_uid}", ignore_errors=True)  # of their templates


def end_processes_of(uid: int) -> None:
    """Their libvirt daemon waits two minutes for another client; it is ended by its pid."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ProcessLookupError):
            if process.stat().st_uid == uid:
                os.kill(int(process.name), signal.SIGKILL)
