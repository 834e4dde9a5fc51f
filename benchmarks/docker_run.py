"""`docker run` of a systemd container to its SSH server's greeting, from the same files as our machines have."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from shutil import which

from dockerd import daemon

from benchmarks.reading import CannotMeasure
from kvm_action.backends.container_image import provide
from kvm_action.containers.engine import open_engine
from kvm_action.images.store import Store
from kvm_action.paths import Home
from kvm_action.reach import Address, speaks_ssh

IMAGE = "debian-12"
READY = "kvm-e2e-bench:ready"
_POWERS = (
    "--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN", "--security-opt", "seccomp=unconfined",
    "--security-opt", "apparmor=unconfined", "--cgroupns", "private", "--tmpfs", "/run", "--tmpfs", "/tmp",
)  # fmt: skip


_MAKE_READY = (
    "ssh-keygen -A; for unit in -local ''; do ln -sf /dev/null /etc/systemd/system/cloud-init$unit.service; done"
)


@dataclass(frozen=True)
class Docker:
    """The command with its daemon."""

    host: str

    def __call__(self, *words: str) -> str:
        """Call it to its end; what it printed."""
        done = subprocess.run(["docker", "--host", self.host, *words], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"docker {words[0]}: {done.stderr.strip()[-500:]}")
        return done.stdout.strip()

    def start(self) -> float:
        """Seconds from `docker run` to the SSH greeting; the container is removed afterwards."""
        port = _free_port()  # chosen before: to ask for it afterwards would be one more call of docker
        begun = time.monotonic()
        name = self("run", "--detach", *_POWERS, "--publish", f"127.0.0.1:{port}:22", READY, "/sbin/init")
        try:
            while not speaks_ssh(Address("127.0.0.1", port), timedelta(seconds=1)):
                if time.monotonic() - begun > 60:
                    raise RuntimeError("the container's SSH server does not greet")
            return time.monotonic() - begun
        finally:
            self("rm", "--force", name)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextmanager
def docker() -> Iterator[Docker]:
    """A daemon of our own that has the image, made ready once for the fastest start that it can have.

    It gets host keys, which the seal has taken away, and no cloud-init, which has nothing to do in a container.
    """
    if not which("dockerd", path="/usr/sbin:/usr/bin"):
        raise CannotMeasure("no dockerd on this host; apt-get install docker.io")
    with daemon() as running:
        where = running.environment["DOCKER_HOST"]
        with open_engine({"DOCKER_HOST": where}) as engine:
            image = provide(engine, Store(Home.from_environ().images), IMAGE, lambda _text: None)
        command = Docker(where)
        made = command("run", "--detach", image.reference, "/bin/sh", "-c", _MAKE_READY)
        command("wait", made)
        command("commit", made, READY)
        command("rm", made)
        yield command
