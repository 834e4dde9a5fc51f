"""Which container image a plan's ``machine.image`` means: the store's own, imported once, or one by reference."""

from collections.abc import Callable
from typing import Final

from kvm_action.containers.engine import Engine
from kvm_action.containers.images import ContainerImage, find, import_archive, imported_before, pull
from kvm_action.images.root_archive import root_archive
from kvm_action.images.store import Store

BY_REFERENCE: Final = "docker://"


def provide(engine: Engine, store: Store, wanted: str, progress: Callable[[str], None]) -> ContainerImage:
    """The image, which the daemon has afterwards. Raises ImageError, HostError."""
    if wanted.startswith(BY_REFERENCE):
        reference = wanted.removeprefix(BY_REFERENCE)
        if found := find(engine, reference):
            return found
        progress(f"fetching {reference}")
        return pull(engine, reference)
    image = store.get(wanted)
    if found := imported_before(engine, image.name, image.sha256):
        return found

    def on_wait() -> None:
        progress(f"another process imports {image.name}; waiting for it")

    with store.lock(f"docker-{image.sha256[:12]}", on_wait=on_wait):
        if found := imported_before(engine, image.name, image.sha256):
            return found
        progress(f"importing {image.name} into Docker, once")
        with root_archive(store, image) as archive:
            return import_archive(engine, image.name, image.sha256, archive)
