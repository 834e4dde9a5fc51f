"""Container images: imported once from an archive, or found (or fetched) by reference."""

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from kvm_action.containers.engine import GONE, SAYS_NO, Engine, told, with_patience
from kvm_action.errors import HostError

_LABEL: Final = "kvm-e2e.image"
_WAITED_FOR: Final = timedelta(days=1)
"""No run waits longer between taking an image and starting from it."""


@dataclass(frozen=True)
class ContainerImage:
    """An image that the daemon has: by which reference, and its digest."""

    reference: str
    sha256: str


def repository(name: str) -> str:
    """How the daemon's copy of one of our images is called: what Docker does not allow becomes a dash."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name.lower())
    return f"kvm-e2e/{'-'.join(filter(None, plain.split('-')))}"


def imported_before(engine: Engine, name: str, sha256: str) -> ContainerImage | None:
    """The copy of a disk image with that digest."""
    found = find(engine, f"{repository(name)}:{sha256[:12]}")
    return ContainerImage(found.reference, sha256) if found else None


def import_archive(engine: Engine, name: str, sha256: str, archive: Path) -> ContainerImage:
    """Make a container image of a file system; old copies of other disks of that name go. Raises HostError."""
    tag = sha256[:12]
    with told(f"import {name}", hint="`docker info` shows where it keeps images; is that disk full?"):
        with_patience(
            engine,
            lambda api: api.import_image_from_file(
                str(archive), repository=repository(name), tag=tag, changes=[f"LABEL {_LABEL}={sha256}"]
            ),
        )
    remove_older_copies(engine, name, tag)
    if imported := imported_before(engine, name, sha256):
        return imported
    raise HostError(f"Docker no longer has {name}, which was just imported", "does somebody remove images there?")


def remove_older_copies(engine: Engine, name: str, tag: str) -> None:
    """Remove the copies of other disks of that name, when no run can be waiting to start from one any more."""
    for image in engine.api.images(name=repository(name)):
        is_old = time.time() - image["Created"] > _WAITED_FOR.total_seconds()
        for other in image["RepoTags"] or ():
            if is_old and not other.endswith(f":{tag}"):
                with suppress(*SAYS_NO):  # in use by a run that is still going on
                    engine.api.remove_image(other)


def find(engine: Engine, reference: str) -> ContainerImage | None:
    """An image that the daemon has."""
    with told(f"look at the image {reference}"):
        try:
            facts = engine.api.inspect_image(reference)
        except GONE:
            return None
    return ContainerImage(reference, str(facts["Id"]).removeprefix("sha256:"))


def pull(engine: Engine, reference: str) -> ContainerImage:
    """Fetch an image from its registry. Raises HostError."""
    with told(f"fetch the image {reference}", hint="is its name right, and `docker pull` of it allowed here?"):
        with_patience(engine, lambda api: api.pull(reference))
        facts = engine.api.inspect_image(reference)
    return ContainerImage(reference, str(facts["Id"]).removeprefix("sha256:"))
