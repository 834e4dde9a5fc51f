"""One container, from its writable layer to its removal; what it costs, and its snapshots."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Thread
from typing import Any, Final

from kvm_action.containers.engine import GONE, SAYS_NO, Engine, told, with_patience
from kvm_action.containers.files import File, archive
from kvm_action.containers.hijacked import Hijacked
from kvm_action.containers.spec import ContainerSpec, configuration
from kvm_action.errors import HostError, RunEndedError
from kvm_action.procfs import Host
from kvm_action.results import SnapshotInfo

SNAPSHOTS: Final = "kvm-e2e/snapshot"
_END_OF_CONSOLE: Final = 1.0
_PIECE: Final = 1 << 16
_ANONYMOUS: Final = re.compile(r"^(?:anon|total_rss) (\d+)$", re.MULTILINE)
"""In memory.stat of the two versions of control groups."""


@dataclass(frozen=True)
class MemoryUse:
    """In bytes; None where the kernel does not say. ``peak`` has page cache in it, ``own`` has none."""

    peak: int | None = None
    own: int | None = None


@dataclass(frozen=True)
class Container:
    """A container that exists; it runs when `start` was called and it has not ended."""

    engine: Engine
    id: str
    name: str

    def put(self, files: dict[str, File]) -> None:
        """Put files in before it starts."""
        with told("put the first files into the container"):
            self.engine.api.put_archive(self.id, "/", archive(files))

    def start(self) -> None:
        """Let it run."""
        with told("start the container", hint="see console.log; `docker info` shows how the daemon is set up"):
            self.engine.api.start(self.id)

    def state(self) -> dict[str, Any]:
        """What the daemon knows of it."""
        with told("inspect the container"):
            facts: dict[str, Any] = self.engine.api.inspect_container(self.id)
        return facts

    def is_running(self) -> bool:
        """Does it run? Raises HostError when Docker does not tell."""
        try:
            with told("inspect the container", hint="did its daemon stop or restart? `docker info` asks it"):
                return bool(self.engine.api.inspect_container(self.id)["State"]["Running"])
        except HostError as error:
            if isinstance(error.__cause__, GONE):
                return False
            raise

    def address(self) -> str:
        """Its first address, empty when it has none."""
        networks = self.state()["NetworkSettings"]["Networks"] or {}
        return next((str(each["IPAddress"]) for each in networks.values() if each["IPAddress"]), "")

    def disk_bytes(self) -> int | None:
        """What its writable layer holds."""
        with suppress(*SAYS_NO):
            for each in self.engine.api.containers(all=True, size=True, filters={"id": self.id}):
                return int(each.get("SizeRw") or 0)
        return None

    def memory(self, host: Host) -> MemoryUse:
        """What its control group tells."""
        try:
            pid = int(self.engine.api.inspect_container(self.id)["State"]["Pid"])
        except SAYS_NO:
            return MemoryUse()
        for group in memory_groups(host.text(f"/proc/{pid}/cgroup"), self.id) if pid else ():
            peak = host.text(f"{group}/memory.peak") or host.text(f"{group}/memory.max_usage_in_bytes")
            own = _ANONYMOUS.search(host.text(f"{group}/memory.stat"))
            return MemoryUse(int(peak) if peak else None, int(own[1]) if own else None)
        return MemoryUse()

    def snapshot(self, name: str, parent: str | None) -> SnapshotInfo:
        """Commit its files to an image, which carries its lease and goes with it; memory is not in it."""
        created, began = datetime.now(UTC), time.monotonic()
        with told(f"take the snapshot “{name}”"):
            with_patience(self.engine, lambda api: api.commit(self.id, SNAPSHOTS, f"{self.name}-{name}"))
        return SnapshotInfo(
            name=name,
            parent=parent,
            created=created,
            created_by="kvm-e2e",
            method="docker commit",
            memory=False,
            seconds=round(time.monotonic() - began, 3),
        )

    def remove(self) -> None:
        """End it and remove it, with its volumes and snapshots."""
        with told(f"remove the container {self.name}", hint="`kvm-e2e reap` tries again"):
            with suppress(GONE):
                self.engine.api.remove_container(self.id, v=True, force=True)
            for image in self.engine.api.images(name=SNAPSHOTS):
                for tag in image["RepoTags"] or ():
                    if tag.startswith(f"{SNAPSHOTS}:{self.name}-"):
                        self.engine.api.remove_image(tag)


def memory_groups(cgroups: str, container: str) -> tuple[str, ...]:
    """The folder of a container's memory group, by its /proc/PID/cgroup; none when that is another's.

    ``12:memory:/docker/ID`` with cgroups of version 1, ``0::/…/docker-ID.scope/init.scope`` with version 2.
    """
    folders = []
    for hierarchy, controllers, path in re.findall(r"^(\d+):([^:]*):(/.*)$", cgroups, re.MULTILINE):
        own = path[: path.find(container) + len(container)] if container in path else ""
        if own and path.startswith(f"{own}.scope"):
            own += ".scope"
        if own and hierarchy == "0":
            folders.append(f"/sys/fs/cgroup{own}")
        elif own and "memory" in controllers.split(","):
            folders.append(f"/sys/fs/cgroup/memory{own}")
    return tuple(folders)


@contextmanager
def created(engine: Engine, spec: ContainerSpec, *, stays: Callable[[], bool]) -> Iterator[Container]:
    """Make a container that does not run yet; it is removed at the end, unless it then ``stays``."""
    try:
        with told(f"make a container of {spec.image}"):
            made = engine.api.create_container_from_config(configuration(spec), spec.name)
    except RunEndedError:  # the daemon may have made it
        with suppress(*SAYS_NO):
            engine.api.remove_container(spec.name, v=True, force=True)
        raise
    container = Container(engine, str(made["Id"]), spec.name)
    try:
        yield container
    finally:
        if not stays():
            container.remove()


@contextmanager
def console(container: Container, on_output: Callable[[bytes], None]) -> Iterator[None]:
    """Hand over what the container prints on its console, from a thread, until it ends."""
    with told("attach to the container's console"):
        wanted = {"stdout": 1, "stderr": 1, "stream": 1}
        stream = Hijacked(container.engine.api.attach_socket(container.id, params=wanted))

    def read() -> None:
        with suppress(OSError):
            while piece := stream.socket.recv(_PIECE):
                on_output(piece)

    thread = Thread(target=read, name="console", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stream.close()
        thread.join(_END_OF_CONSOLE)
