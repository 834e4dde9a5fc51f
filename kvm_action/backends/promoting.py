"""A kept machine's disk becomes a base image: sealed in the guest, copied whole while the machine stands still.

Sealing happens in the running machine, since only its own kernel knows its file systems. Where the machine can go
back to a snapshot, it does so afterwards and is as it was; elsewhere it ends with the promotion.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from shlex import quote
from typing import Final

from kvm_action.backends.going_back import go_back
from kvm_action.backends.guest_shell import root_shell
from kvm_action.backends.kept import Opened, end
from kvm_action.errors import ImageError
from kvm_action.images import qemu_img
from kvm_action.images.model import Facts, Firmware, Image, Origin, Package
from kvm_action.images.reference import require_name
from kvm_action.images.store import Store
from kvm_action.images.tools import require_space
from kvm_action.patience import stretched

Progress = Callable[[str], None]
Undisturbed = Callable[[], AbstractContextManager[None]]

SEAL: Final = Path(__file__).with_name("seal.sh")
SEAL_TIME: Final = timedelta(minutes=2)
_DONE: Final = b"kvm-e2e: sealed\n"


def promote(machine: Opened, store: Store, name: str, progress: Progress, undisturbed: Undisturbed) -> Image:
    """Make the image ``name`` of the machine's disk as it is now. The caller holds the machine's lock.

    The way back goes on in ``undisturbed``, so that no signal leaves the machine half-way.
    Raises ImageError, HostError; the machine is then as it was before, where it can go back.
    """
    require_name(name)
    wait = f"another process makes {name}; waiting for it"
    with store.lock(name, on_wait=lambda: progress(wait)), store.workplace(name) as place:
        require_space(place, qemu_img.flat_bytes(machine.domain.disk()), "the image")
        disk = place / "disk.qcow2"
        with as_it_was(machine, progress, undisturbed) as goes_on:
            progress("sealing it: keys, ids, logs and cloud-init's state go")
            packages = seal(machine)
            progress("copying its disk")
            with machine.domain.standing_still():
                qemu_img.flatten(machine.domain.disk(), disk)  # the way back may have put a layer over what it was
            if not goes_on:  # its disk is the only other copy
                return _into_store(store, name, disk, facts_of(machine, packages), progress)
        return _into_store(store, name, disk, facts_of(machine, packages), progress)


def _into_store(store: Store, name: str, disk: Path, facts: Facts, progress: Progress) -> Image:
    progress("checking it and putting it into the store")
    return store.add(name, disk, facts)


def seal(machine: Opened) -> tuple[Package, ...]:
    """Take away what makes the machine itself, and let its file systems be whole on disk; returns its packages.

    Raises ImageError when that did not come to its end.
    """
    record = machine.kept.record
    script = f"USER_NAME={quote(record.user)} USER_KEY={quote(record.key)}\n{SEAL.read_text()}"
    answer = root_shell(machine, stretched(SEAL_TIME))(script)
    if answer is None:
        raise ImageError(
            "the guest cannot be sealed: neither its agent nor SSH answers",
            f"kvm-e2e vm console {machine.kept.run}",
        )
    listing, done, _ = answer.partition(_DONE)
    if not done:
        said = answer.decode(errors="replace").strip().splitlines()[-1:]
        raise ImageError(f"the guest was not sealed: {said[0] if said else 'the script ended early'}")
    rows = [line.split("\t") for line in listing.decode(errors="replace").splitlines() if line.count("\t") == 1]
    return tuple(Package(name=name, version=version) for name, version in rows)


@contextmanager
def as_it_was(machine: Opened, progress: Progress, undisturbed: Undisturbed) -> Iterator[bool]:
    """Let the machine be as it was at the end of the context, by a snapshot; or else end it. Does it go on?

    One that cannot go back stays, sealed, when what it was sealed for failed.
    """
    able = machine.snapshots.ability()
    if able.way is None:
        progress(f"the machine ends with this, since it cannot go back to a snapshot: {able.reason}")
        try:
            yield False
        except BaseException:
            progress("the machine stays; if it was sealed, nobody can log in: `kvm-e2e vm destroy` ends it")
            raise
        end(machine)
        return
    mark = f"before-promotion-{secrets.token_hex(4)}"
    try:
        machine.snapshots.take(mark, created_by="kvm-e2e image promote")
        yield True
    finally:
        with undisturbed():
            if mark in [each.name for each in machine.snapshots.listed()]:
                progress("letting the machine go back to what it was")
                go_back(machine, mark)
                machine.snapshots.delete(mark)


def facts_of(machine: Opened, packages: tuple[Package, ...]) -> Facts:
    """What is told of the new image."""
    record = machine.kept.record
    parent = Origin(image=record.image, image_sha256=record.image_sha256, run=machine.kept.run, plan=record.plan)
    return Facts(
        firmware=Firmware(record.firmware or Firmware.BIOS),
        os=record.image_os,
        recipe="promote",
        packages=packages,
        origin=parent,
    )
