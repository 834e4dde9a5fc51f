"""A Docker daemon of the tests' own: own data, own socket, own bridge; nothing of the host's Docker is touched."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from kvm_action.wait import Deadline, until

START = timedelta(seconds=60)
GATEWAY = "172.31.251.1/24"


@dataclass(frozen=True)
class Daemon:
    """A daemon that answers at ``socket``."""

    socket: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"DOCKER_HOST": f"unix://{self.socket}"}


@contextmanager
def bridge(name: str) -> Iterator[None]:
    for command in (["add", name, "type", "bridge"], ["set", name, "up"]):
        subprocess.run(["ip", "link", *command], check=True)
    try:
        subprocess.run(["ip", "addr", "add", GATEWAY, "dev", name], check=True)
        yield
    finally:
        subprocess.run(["ip", "link", "del", name], check=False)


@contextmanager
def daemon(before: tuple[str, ...] = ()) -> Iterator[Daemon]:
    """Start dockerd by hand (``before``: the words before its command) and end it by its pid."""
    folder = Path(tempfile.mkdtemp(prefix="e2ed-"))
    name = f"e2e{os.getpid()}"[:15]
    try:
        with bridge(name), (folder / "log").open("wb") as log:
            command: list[str | Path] = [
                *before, "/usr/sbin/dockerd", "--data-root", folder / "data", "--exec-root", folder / "exec",
                "-H", f"unix://{folder / 'docker.sock'}", "-p", folder / "pid", "--bridge", name,
                "--iptables=false", "--ip-masq=false",
            ]  # fmt: skip
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                there = until((folder / "docker.sock").exists, Deadline(START))
                assert there, f"dockerd: {(folder / 'log').read_text()[-500:]}"
                yield Daemon(folder / "docker.sock")
            finally:
                end(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
