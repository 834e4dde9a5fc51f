"""The store of templates: made once per key under a lock, published by a rename, removed when room is short."""

import json
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from kvm_action.digest import sha256_of
from kvm_action.errors import HostError
from kvm_action.frozen import memory_file
from kvm_action.frozen.model import (
    DISK,
    DOUBT,
    MANIFEST,
    SEED,
    STATE,
    NoRoomError,
    Shape,
    Template,
    TemplateError,
    stamp_of,
)
from kvm_action.locks import held
from kvm_action.renewal import FrozenIdentity

UNFINISHED: Final = ".new-"
REFUSED_FOR: Final = 24 * 3600
"""Seconds. What failed may have been the host's fault, and mended since."""
AT_MOST: Final = 6
"""Templates that are kept; the one that was not used for the longest time goes first."""


@dataclass(frozen=True)
class Draft:
    """A template that is being made: where its files go."""

    folder: Path
    memory_file: Path | None

    @property
    def disk(self) -> Path:
        """The disk."""
        return self.folder / DISK

    @property
    def state(self) -> Path:
        """The state."""
        return self.folder / STATE

    @property
    def seed(self) -> Path:
        """The seed volume."""
        return self.folder / SEED


@dataclass(frozen=True)
class TemplateStore:
    """The folder ``root``. ``leased`` tells the keys that living machines need: their templates stay."""

    root: Path
    leased: Callable[[], Collection[str]] = tuple
    tmpfs: Path = memory_file.SHARED_MEMORY

    def list(self) -> Sequence[Template]:
        """All templates that can be read, last used first."""
        return sorted(self._readable(), key=lambda template: -_used(template))

    def has(self, key: str) -> bool:
        """Is there one, sound or not?"""
        return (self.root / key).is_dir()

    def find(self, key: str) -> Template | None:
        """A sound template, None when there is none. Raises TemplateError when it is damaged."""
        folder = self.root / key
        if not self.has(key):
            return None
        if (doubt := _read(folder / DOUBT)) is not None:
            raise TemplateError(f"a machine that started from it was not in order: {doubt}")
        try:
            template = Template.from_json((folder / MANIFEST).read_text(), folder)
        except (KeyError, TypeError) as error:
            raise TemplateError("its manifest is not of this version of kvm-e2e") from error
        except (OSError, ValueError) as error:
            raise TemplateError(f"its manifest cannot be read: {error}") from error
        template.require_sound()
        os.utime(folder / MANIFEST)
        return template

    def refusal(self, key: str) -> str:
        """Why a try to make this template failed within the last day, empty when there was none."""
        with suppress(OSError, ValueError):
            told = self._refused(key)
            if time.time() - told.stat().st_mtime < REFUSED_FOR:
                return str(json.loads(told.read_text())["reason"])
        return ""

    def refuse(self, key: str, reason: str) -> None:
        """Remember that this template cannot be made, so that no run spends a boot on it for a day."""
        with suppress(OSError):  # without space for that much, it is tried again
            self.root.mkdir(parents=True, exist_ok=True)
            self._refused(key).write_text(json.dumps({"reason": reason}) + "\n")

    def forget_refusal(self, key: str) -> None:
        """Let it be tried again."""
        self._refused(key).unlink(missing_ok=True)

    @contextmanager
    def lock(self, key: str, on_wait: Callable[[], None]) -> Iterator[None]:
        """Be the only one who makes or removes ``key``; ``on_wait`` is called once if another does now."""
        with held(self.root / "locks" / key, on_wait):
            yield

    @contextmanager
    def draft(self, shape: Shape) -> Iterator[Draft]:
        """Room for a new template; what is not published by the end is removed. Call it under the lock.

        Raises NoRoomError when there is no room even after templates that nobody needs were removed.
        """
        self._remove(self.root / shape.key)
        folder = self.root / f"{UNFINISHED}{shape.key}"
        self._remove(folder)  # of a maker that was killed while we waited for the lock
        with suppress(OSError):
            self._unlink_unnamed(self._ram_folder.glob(f"{shape.key}-*.ram"), shape.key)
        self._make_room(shape)
        folder.mkdir(mode=0o711)
        memory = self._place(shape, folder) if shape.in_memory_file else None
        try:
            yield Draft(folder, memory)
        finally:
            if folder.exists():
                self._remove(folder)
                if memory:
                    memory.unlink(missing_ok=True)

    def publish(self, draft: Draft, shape: Shape, identity: FrozenIdentity, seconds: float) -> Template:
        """Make a finished draft a template."""
        folder, memory = self.root / shape.key, draft.memory_file
        names = [DISK, STATE, SEED, *([str(memory)] if memory else [])]
        stamps = {name: stamp_of(draft.folder / name) for name in names}
        if memory and memory.parent == draft.folder:
            stamps[str(folder / memory.name)] = stamps.pop(str(memory))
            memory = folder / memory.name
        template = Template(
            folder=folder,
            shape=shape,
            identity=identity,
            created=datetime.now(UTC),
            seconds=round(seconds, 3),
            state_sha256=sha256_of(draft.state),
            memory_file=memory,
            memory_bytes=memory_file.occupied(draft.memory_file) if draft.memory_file else 0,
            memory_holes=memory_file.holes(draft.memory_file) if draft.memory_file else [],
            stamps=stamps,
        )
        manifest = draft.folder / MANIFEST
        manifest.touch(mode=0o600)  # the nonce in it proves machines
        manifest.write_text(template.to_json())
        draft.folder.rename(template.folder)
        return template

    def tidy(self, key: str) -> None:
        """Give back memory that machines of a template only read. Under the key's lock, or not at all now."""
        with suppress(Timeout, OSError, HostError), FileLock(self.root / "locks" / key).acquire(timeout=0):
            for template in self._readable():
                if template.key == key and template.memory_file:
                    memory_file.give_back(template.memory_file, template.memory_bytes, template.memory_holes)

    def retire(self, key: str, reason: str) -> None:
        """Let no machine start from a template that is in doubt. It goes as soon as none stands on it."""
        with suppress(OSError):  # gone already, or no space: it is found out again
            (self.root / key / DOUBT).write_text(reason)
        self.remove_idle(key)

    def remove(self, key: str) -> int:
        """Remove a template with its memory file; returns the bytes freed, 0 when there is none."""
        folder = self.root / key
        freed = sum(template.bytes for template in self._readable() if template.key == key)
        self._remove(folder)
        return freed

    def sweep(self) -> None:
        """Take away half-made folders and memory files of builders that were killed, and what is of no use to us:
        templates in another version's format, and such as are in doubt.
        """
        for manifest in self.root.glob(f"[!.]*/{MANIFEST}"):
            if _is_foreign(manifest) or (manifest.parent / DOUBT).exists():
                self.remove_idle(manifest.parent.name)
        for folder in self.root.glob(f"{UNFINISHED}*"):
            lock = FileLock(self.root / "locks" / folder.name.removeprefix(UNFINISHED))
            with suppress(Timeout), lock.acquire(timeout=0):
                self._remove(folder)
        with suppress(OSError):
            memory_file.forget_stores_that_are_gone(self.tmpfs)
            for file in self._ram_folder.glob("*.ram"):
                key = file.name.split("-")[0]
                with suppress(Timeout), FileLock(self.root / "locks" / key).acquire(timeout=0):
                    self._unlink_unnamed([file], key)

    @property
    def _ram_folder(self) -> Path:
        return memory_file.folder_of_store(self.root, self.tmpfs)

    def _readable(self) -> Iterator[Template]:
        for manifest in self.root.glob(f"[!.]*/{MANIFEST}"):
            with suppress(OSError, ValueError, KeyError, TypeError):
                yield Template.from_json(manifest.read_text(), manifest.parent)

    def _place(self, shape: Shape, folder: Path) -> Path:
        room = self._room()
        if room.fits_in_tmpfs(shape.memory):
            with suppress(OSError):
                return self._ram_folder / memory_file.file_name(shape.key)
        return folder / memory_file.file_name(shape.key)

    def _make_room(self, shape: Shape) -> None:
        oldest_first = [template.key for template in reversed(self.list())]
        while oldest_first and (len(self.list()) >= AT_MOST or not self._has_room(shape)):
            self.remove_idle(oldest_first.pop(0))
        if not self._has_room(shape):
            raise NoRoomError("there is no room for it, neither in a tmpfs nor on the disk")

    def remove_idle(self, key: str) -> int | None:
        """`remove`, unless a machine stands on the template or a run is about to; None when it stays for that."""
        with suppress(Timeout), FileLock(self.root / "locks" / key).acquire(timeout=0):
            if key not in self.leased():
                return self.remove(key)
        return None

    def _room(self) -> memory_file.Room:
        leased = self.leased()
        files = [template.memory_file for template in self._readable() if template.key in leased]
        in_tmpfs = [file for file in files if file and file.is_relative_to(self.tmpfs)]
        return memory_file.look(self.root, self.tmpfs, in_use=in_tmpfs)

    def _has_room(self, shape: Shape) -> bool:
        room = self._room()
        return room.fits_in_tmpfs(shape.memory) or room.fits_on_disk(shape.memory)

    def _remove(self, folder: Path) -> None:
        with suppress(OSError, ValueError, KeyError, TypeError):  # its own format or another version's
            if memory := json.loads((folder / MANIFEST).read_text())["memory_file"]:
                self._unlink_memory(Path(memory), folder)
        shutil.rmtree(folder, ignore_errors=True)

    def _unlink_memory(self, file: Path, folder: Path) -> None:
        """A manifest is only text: what it names is removed where memory files are, and nowhere else."""
        if file.suffix == ".ram" and file.parent in (folder, self._ram_folder):
            file.unlink(missing_ok=True)

    def _unlink_unnamed(self, files: Iterable[Path], key: str) -> None:
        """Take away memory files that the template ``key`` does not name. Asked under its lock."""
        try:
            named = json.loads((self.root / key / MANIFEST).read_text())["memory_file"]
        except FileNotFoundError:
            named = None
        except (OSError, ValueError, KeyError, TypeError):
            return  # damaged: `find` tells, and then it goes
        for file in files:
            if str(file) != named:
                file.unlink(missing_ok=True)

    def _refused(self, key: str) -> Path:
        return self.root / f"{key}.refused.json"


def _is_foreign(manifest: Path) -> bool:
    """Is it JSON and in another version's format? What is damaged is for `TemplateStore.find` to tell."""
    try:
        Template.from_json(manifest.read_text(), manifest.parent)
    except (KeyError, TypeError):
        return True
    except (OSError, ValueError):
        return False
    return False


def _read(file: Path) -> str | None:
    with suppress(OSError):
        return file.read_text()
    return None


def _used(template: Template) -> float:
    with suppress(OSError):
        return (template.folder / MANIFEST).stat().st_mtime
    return 0.0
