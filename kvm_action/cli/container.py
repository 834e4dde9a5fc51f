"""The docker backend of a run; a module of its own, because the Docker SDK is slow to import."""

from dataclasses import dataclass
from pathlib import Path

from kvm_action.backends.container_reaping import reap_containers
from kvm_action.backends.docker import DockerBackend, Settings
from kvm_action.containers.engine import open_engine
from kvm_action.containers.where import socket_of
from kvm_action.events import Sink
from kvm_action.images.store import Store
from kvm_action.paths import Home
from kvm_action.plan.load import LoadedPlan
from kvm_action.plan.model import Keep


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What `run` was asked for, as far as a container goes."""

    run: str
    image: str
    keep: Keep
    out: Path
    privileged: bool


def backend(loaded: LoadedPlan, wanted: Wanted, sink: Sink) -> DockerBackend:
    """Containers for the plan."""
    home = Home.from_environ()
    settings = Settings(
        run=wanted.run,
        image=wanted.image,
        keep=wanted.keep,
        store=Store(home.images),
        runs=home.containers,
        out=wanted.out,
        privileged=wanted.privileged,
    )
    return DockerBackend(loaded.plan, settings, sink)


def reap_here(*, kept_too: bool) -> tuple[str, ...]:
    """Remove what dead runs left in this host's Docker, if it has one. Raises HostError."""
    if not socket_of().exists():
        return ()
    with open_engine() as engine:
        return reap_containers(engine, Home.from_environ().containers, kept_too=kept_too)
