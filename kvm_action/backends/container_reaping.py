"""Removing the containers that dead runs left; apart from `reaping`, because the Docker SDK is slow to import."""

import shutil
from pathlib import Path

from kvm_action.containers.engine import Engine, told
from kvm_action.containers.owned import destroy_abandoned, owned_containers
from kvm_action.runs import leftovers


def reap_containers(engine: Engine, folders: Path, *, kept_too: bool = False) -> tuple[str, ...]:
    """Remove the containers of dead leases, then their folders, which may hold a lease that was renewed.

    ``folders`` is where this home has them; ``kept_too`` ends its kept containers before.
    """
    with told("remove the containers of dead runs"):
        gone = destroy_abandoned(engine, kept_below=folders if kept_too else None)
        there = {each.lease.run for each in owned_containers(engine)}
    for folder in leftovers(folders, lambda lease: lease.run not in there):
        shutil.rmtree(folder.path, ignore_errors=True)
    return tuple(each.name for each in gone)
