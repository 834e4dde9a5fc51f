"""Containers that carry our lease: found by their labels alone, removed when the lease is dead.

A process id means something only where it was taken: another container with this daemon's socket has its own. An
owner there is taken for alive for a day, as `leases` says.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kvm_action.containers.container import SNAPSHOTS, Container
from kvm_action.containers.engine import SAYS_NO, Engine
from kvm_action.containers.spec import LEASE_LABEL
from kvm_action.errors import HostError
from kvm_action.leases import FILE_NAME, Lease


@dataclass(frozen=True)
class OwnedContainer:
    """A container of ours, with its lease."""

    name: str
    lease: Lease


def labels(lease: Lease) -> dict[str, str]:
    """What a container with this lease carries."""
    return {LEASE_LABEL: lease.to_json()}


def owned_containers(engine: Engine) -> list[OwnedContainer]:
    """All containers with a readable lease of ours, running or not."""
    return [OwnedContainer(container.name, lease) for container, lease in _with_lease(engine)]


def destroy_abandoned(engine: Engine, *, kept_below: Path | None = None) -> list[OwnedContainer]:
    """Remove the containers whose lease is dead, and snapshots that lost their container; returns the former.

    Also those that were kept on purpose and have their folder in ``kept_below``.
    """
    gone = []
    for container, lease in _with_lease(engine):
        is_kept_there = lease.kept_until is not None and Path(lease.folder).parent == kept_below
        if lease.is_alive and not is_kept_there:
            continue
        with suppress(HostError):  # another run is at it right now
            container.remove()
            gone.append(OwnedContainer(container.name, lease))
    _remove_orphans(engine)
    return gone


def _remove_orphans(engine: Engine) -> None:
    with suppress(*SAYS_NO):
        for image in engine.api.images(name=SNAPSHOTS):
            carried = image.get("Labels") or {}
            lease = _lease(carried)
            if lease and not lease.is_alive:
                for tag in image["RepoTags"] or ():
                    engine.api.remove_image(tag)


def _with_lease(engine: Engine) -> Iterator[tuple[Container, Lease]]:
    found = engine.api.containers(all=True, filters={"label": [LEASE_LABEL]})
    for each in found:
        if lease := _lease(each["Labels"]):
            yield Container(engine, each["Id"], each["Names"][0].lstrip("/")), lease


def _lease(carried: dict[str, str]) -> Lease | None:
    """The lease in the labels, or the newer one in its folder: a lease is renewed, a label cannot be."""
    try:
        lease = Lease.from_json(carried.get(LEASE_LABEL, ""))
    except ValueError:
        return None
    with suppress(OSError, ValueError):
        newer = Lease.from_json((Path(lease.folder) / FILE_NAME).read_text())
        return newer if newer.run == lease.run else lease
    return lease
