"""The store of base images: files by content, names as small pointers. Knows no recipe and no machine.

``names/NAME.json`` is the manifest of what a name means now; ``files/SHA256.qcow2`` is the disk, read-only, with
the manifest that it got first beside it. Two names may mean one file, each with an origin of its own. A name that
is built again points to a new file; overlays on the old one go on working, and the old file goes with
`Store.remove_unused`.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

from kvm_action.digest import sha256_of
from kvm_action.errors import ImageError
from kvm_action.images import files, manifest, qemu_img, reference
from kvm_action.images.in_use import processes_that_use
from kvm_action.images.manifest import Manifest
from kvm_action.images.model import Facts, Image
from kvm_action.locks import held
from kvm_action.work_folder import remove_abandoned, work_folder

__all__ = ["Image", "Store"]

_NONE: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True)
class Store:
    """The folder ``root``; made when something is added."""

    root: Path

    def list(self) -> Sequence[Image]:
        """All images that have a name, by name. A damaged entry raises ImageError that names it."""
        return tuple(self._named(name) for name in self._names())

    def get(self, wanted: str) -> Image:
        """The image that a plan means: a name in the store, or the path of a disk file.

        A file is probed, its sha256 taken, and refused when it is damaged or needs another. Raises ImageError.
        """
        if reference.is_path(wanted):
            return reference.image_of_file(Path(wanted).expanduser())
        if (image := self.find(wanted)) is None:
            raise reference.unknown(wanted, self._names())
        return image

    def find(self, name: str) -> Image | None:
        """The image of that name, None when there is none. Raises ImageError when it is damaged."""
        return self._named(name) if name in self._names() else None

    def add(self, name: str, disk: Path, facts: Facts) -> Image:
        """Take a finished, sound qcow2 file, moving it here, and let ``name`` mean it from now on.

        ``disk`` must be in a folder that `workplace` gave. All or nothing; what the name meant before stays in
        `files` until it is removed. Raises ImageError.
        """
        reference.require_name(name)
        info = qemu_img.require_sound(disk)
        entry = Manifest(
            sha256=sha256_of(disk),
            bytes=disk.stat().st_size,
            virtual_bytes=info.virtual_bytes,
            created=datetime.now(UTC),
            facts=facts,
        )
        for folder in (self._files, self.root / "names"):
            folder.mkdir(parents=True, exist_ok=True)
        with self._undisturbed():
            files.publish(disk, self._disk(entry.sha256))
            if not self._manifest(entry.sha256).exists():
                files.write_whole(manifest.to_json(entry), self._manifest(entry.sha256))
            files.write_whole(manifest.to_json(entry), self._pointer(name))
        return self._image(name, entry)

    def remove(self, name: str, machines: Mapping[str, str] = _NONE) -> int:
        """Forget ``name``, and remove its file when no other name means it; returns the bytes freed.

        ``machines``: the runs whose machines stand on a file, by its sha256; QEMU may be another user, whose open
        files we cannot see. Raises ImageError when the name is unknown or a machine uses the file.
        """
        with self._undisturbed():
            if name not in self._names():
                raise reference.unknown(name, self._names())
            digest = self._digest(name)
            shared = any(self._digest(other) == digest for other in self._names() if other != name)
            if not shared:
                self._require_unused(name, digest, machines)
            self._pointer(name).unlink()
            return 0 if shared else self._discard(digest)

    def remove_unused(self, machines: Mapping[str, str] = _NONE) -> int:
        """Remove the files that no name means and no machine uses; returns the bytes freed."""
        with self._undisturbed():
            kept = {*machines, *(self._digest(name) for name in self._names())}
            disks = [disk for disk in self._files.glob("*.qcow2") if disk.stem not in kept]
            return sum(self._discard(disk.stem) for disk in disks if not processes_that_use(disk))

    def verify(self, image: Image) -> None:
        """Read the whole file and compare its sha256. Raises ImageError when it has changed."""
        if (found := sha256_of(image.path)) != image.sha256:
            raise ImageError(
                f"image {image.name} has changed on disk: sha256 {found}, not {image.sha256}",
                hint=reference.how_to_get(image.name, again=True),
            )

    @contextlib.contextmanager
    def workplace(self, name: str) -> Iterator[Path]:
        """A folder of our own on the store's file system, after what killed processes left has been removed."""
        remove_abandoned(self.work)
        with work_folder(self.work, name) as folder:
            yield folder

    @property
    def work(self) -> Path:
        """Where images are made: work folders, which say whose they are."""
        return self.root / "work"

    @contextlib.contextmanager
    def lock(self, name: str, on_wait: Callable[[], None]) -> Iterator[None]:
        """Be the only one who makes ``name``; ``on_wait`` is called once when another does at the moment."""
        reference.require_name(name)
        with held(self.root / "locks" / f"{name}.lock", on_wait):
            yield

    def _undisturbed(self) -> contextlib.AbstractContextManager[None]:
        """For moments in which a file and the names that mean it do not fit together."""
        return held(self.root / "locks/.names.lock", on_wait=lambda: None)

    @property
    def _files(self) -> Path:
        return self.root / "files"

    def _disk(self, digest: str) -> Path:
        return self._files / f"{digest}.qcow2"

    def _manifest(self, digest: str) -> Path:
        return self._files / f"{digest}.json"

    def _pointer(self, name: str) -> Path:
        return self.root / "names" / f"{name}.json"

    def _names(self) -> tuple[str, ...]:
        return tuple(sorted(file.stem for file in (self.root / "names").glob("[!.]*.json")))

    def _digest(self, name: str) -> str:
        return str(json.loads(self._pointer(name).read_text())["sha256"])

    def _entry(self, name: str) -> Manifest:
        """Its manifest; older stores have it beside the file only. Raises OSError, ValueError, KeyError."""
        text = self._pointer(name).read_text()
        if "schema" in json.loads(text):
            return manifest.from_json(text)
        return manifest.from_json(self._manifest(self._digest(name)).read_text())

    def _named(self, name: str) -> Image:
        try:
            entry = self._entry(name)
            there = self._disk(entry.sha256).stat().st_size
        except (OSError, ValueError, KeyError) as error:
            raise ImageError(
                f"image {name} is in the store, but incomplete: {error}",
                hint=reference.how_to_get(name, again=True),
            ) from error
        if there != entry.bytes:
            raise ImageError(
                f"image {name} is damaged: {self._disk(entry.sha256)} has {there} bytes, not {entry.bytes}",
                hint=reference.how_to_get(name, again=True),
            )
        return self._image(name, entry)

    def _image(self, name: str, entry: Manifest) -> Image:
        return Image(
            name=name,
            path=self._disk(entry.sha256),
            sha256=entry.sha256,
            bytes=entry.bytes,
            virtual_bytes=entry.virtual_bytes,
            firmware=entry.facts.firmware,
            os=entry.facts.os,
            created=entry.created,
            recipe=entry.facts.recipe,
            packages=entry.facts.packages,
            inputs=entry.facts.inputs,
            origin=entry.facts.origin,
        )

    def _require_unused(self, name: str, digest: str, machines: Mapping[str, str]) -> None:
        if digest in machines:
            raise ImageError(
                f"image {name} is in use by run {machines[digest]}",
                hint="let it end, or end its kept machine: `kvm-e2e vm list`, `kvm-e2e vm destroy`",
            )
        if users := processes_that_use(self._disk(digest)):
            raise ImageError(
                f"image {name} is in use by process {', '.join(map(str, users))}",
                hint="let the run end first (`kvm-e2e reap` ends what dead runs left), then remove it",
            )

    def _discard(self, digest: str) -> int:
        disk = self._disk(digest)
        freed = disk.stat().st_size if disk.exists() else 0
        self._manifest(digest).unlink(missing_ok=True)
        disk.unlink(missing_ok=True)
        return freed
