"""The history's folder: one file a run under its year and month, and larger things once, under their digest.

Append-only: a file that is there is never written again. Many may add at the same time, in one folder or in
branches that are merged later: no two write the same file.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from kvm_action.errors import HostError, PlanError
from kvm_action.history.entry import Document, Entry, NotAnEntryError, document_of, dumps
from kvm_action.history.record import Record, record_of

RUNS: Final = "runs"
PACKAGES: Final = "packages"
PICTURES: Final = "pictures"
MOST_BYTES: Final = 16 << 20
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}(\.[a-z]{3,4})?")


@dataclass(frozen=True)
class Skipped:
    """A file that could not be read, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Reading:
    """All runs, the oldest first, and the files that were passed over."""

    records: tuple[Record, ...]
    skipped: tuple[Skipped, ...]

    def require_some(self) -> None:
        """Raise PlanError where there are files and not one could be read: that is not a history without runs."""
        if self.skipped and not self.records:
            first = self.skipped[0]
            raise PlanError(
                f"no file of the history could be read ({first.path}: {first.reason})",
                "is this the folder that `kvm-e2e history add` fills?",
            )


@dataclass(frozen=True)
class Added:
    """What came of adding: where the run is; was it new; does another run claim the same id?"""

    path: Path
    is_new: bool
    same_id: bool


class History:
    """A folder of runs. It need not exist until something is added."""

    def __init__(self, folder: Path) -> None:
        """Nothing is read before it is asked for."""
        self.folder = folder

    def require(self) -> None:
        """Raise PlanError when there is no such folder, where one was named."""
        if not self.folder.exists():
            raise PlanError(
                f"there is no history {self.folder}", "give the folder that `kvm-e2e history add` fills"
            )

    def add(self, entry: Entry) -> Added:
        """Keep ``entry``. The same result twice is kept once; another result with the same id is kept beside.

        Raises HostError when the host does not let us.
        """
        result = entry.result
        key, text = _key(result.id), dumps(entry)
        folder = self.folder / RUNS / f"{result.started_at:%Y}" / f"{result.started_at:%m}"
        others = sorted(folder.glob(f"{key}.*json"))
        for path in others:
            if self._holds(path, text):
                return Added(path, is_new=False, same_id=False)
        path = folder / f"{key}.json"
        if not others and self._create(path, text.encode()):
            return Added(path, is_new=True, same_id=False)
        beside = folder / f"{key}.{sha256(text.encode()).hexdigest()[:12]}.json"
        return Added(beside, is_new=self._create(beside, text.encode()), same_id=True)

    def _holds(self, path: Path, text: str) -> bool:
        try:
            return bool(self._document(path).get("result") == document_of(text)["result"])
        except NotAnEntryError:
            return False

    def keep(self, kind: str, content: bytes, suffix: str) -> str:
        """Keep ``content`` (PACKAGES or PICTURES) under its digest; returns the name, which an entry may hold."""
        name = f"{sha256(content).hexdigest()}{suffix}"
        if not (self.folder / kind / name).exists():
            self._create(self.folder / kind / name, content)
        return name

    def kept(self, kind: str, name: str) -> Path | None:
        """The file that `keep` made; None when it is gone, or ``name`` is no name of ours."""
        path = self.folder / kind / name
        return path if _DIGEST.fullmatch(name) and path.is_file() else None

    def read(self) -> Reading:
        """All runs, by the time they started.

        Raises PlanError when there is a file in the folder's place, HostError when the host does not let us.
        """
        records, skipped = [], []
        for key, path in self._files():
            try:
                records.append(record_of(self._document(path), key))
            except NotAnEntryError as error:
                skipped.append(Skipped(path, str(error)))
        records.sort(key=lambda record: (record.started_at, record.key))
        return Reading(tuple(records), tuple(skipped))

    def documents(self) -> Iterator[tuple[str, Document]]:
        """Each entry whole, by its key, one at a time; what cannot be read is left out (`read` names it)."""
        for key, path in self._files():
            with suppress(NotAnEntryError):
                yield key, self._document(path)

    def _files(self) -> Iterator[tuple[str, Path]]:
        """Each file with its key: its name, and a digest of its place where another one has that name."""
        if self.folder.exists() and not self.folder.is_dir():
            raise PlanError(f"{self.folder} is no folder", "give the folder that `kvm-e2e history add` fills")
        met: set[str] = set()
        for path in map(Path, _json_files(str(self.folder / RUNS))):
            place = sha256(str(path.relative_to(self.folder)).encode()).hexdigest()
            key = f"{path.stem}-{place[:8]}" if path.stem in met else path.stem
            met.add(path.stem)
            yield key, path

    def _document(self, path: Path) -> Document:
        try:
            with path.open("rb") as file:
                content = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise NotAnEntryError(f"it cannot be read: {error.strerror}") from error
        if len(content) > MOST_BYTES:
            raise NotAnEntryError("it is larger than any result (16 MiB)")
        return document_of(content)

    def _create(self, path: Path, content: bytes) -> bool:
        """Whole or not at all, and never over a file that is there; returns whether it is ours."""
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            aside.write_bytes(content)
            path.hardlink_to(aside)
        except FileExistsError:
            return False
        except OSError as error:
            raise HostError(
                f"could not write {path}: {error.strerror}", "make room, or choose another --to"
            ) from error
        finally:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
        return True


def _json_files(folder: str) -> Iterator[str]:
    """Below ``folder``, sorted; by scandir, since pathlib's walk costs more than reading the files."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise HostError(f"could not read {folder}: {error.strerror}", "give a folder you may read") from error
    for entry in entries:
        if entry.is_dir():
            yield from _json_files(entry.path)
        elif entry.name.endswith(".json") and not entry.name.startswith("."):
            yield entry.path


def _key(run_id: str) -> str:
    """A file name for an id that may be anything."""
    return (
        run_id if _PLAIN.fullmatch(run_id) else f"run-{sha256(run_id.encode(errors='replace')).hexdigest()[:16]}"
    )
