"""Removing the containers that dead runs left; apart from `reaping`, because the Docker SDK is slow to import."""

from kvm_action.containers.engine import Engine, told
from kvm_action.containers.owned import destroy_abandoned


def reap_containers(engine: Engine, *, kept_too: bool = False) -> tuple[str, ...]:
    """Remove the containers of dead leases; before their folders, which may hold a lease that was renewed."""
    with told("remove the containers of dead runs"):
        return tuple(each.name for each in destroy_abandoned(engine, kept_too=kept_too))
