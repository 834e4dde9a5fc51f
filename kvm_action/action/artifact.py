"""What is uploaded: a folder of links, with names that an artifact may have. It knows no run."""

import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kvm_action.action.inputs import Upload
from kvm_action.errors import HostError
from kvm_action.workflow.job import legal_name

SNAPSHOT_FILES: Final = frozenset({"snapshots.json", "domain.xml"})
FROM_GUEST: Final = "artifacts"
"""The folder with files of the guest's own names and modes, which an artifact does not keep: it becomes a tar."""

PICTURES: Final = "screenshots"


def artifact_name(plan: str, job: str, index: str, attempt: str, run: str) -> str:
    """A name that no other job of the workflow run has: not in a matrix, not in another attempt."""
    parts = ("kvm-e2e", legal_name(plan, 40), legal_name(job, 30), index, attempt, run.rpartition("-")[2])
    return legal_name("-".join(part for part in parts if part))


def stage(out: Path, into: Path, what: frozenset[Upload]) -> bool:
    """Fill the folder ``into`` with what of ``out`` is wanted; False when that is nothing. `pack` does the rest.

    Raises HostError when the host does not let us.
    """
    with _explained(f"could not prepare the artifact in {into}"):
        into.mkdir(parents=True, exist_ok=True)
        for file in _wanted(out, what):
            _link(file, into / Path(*(legal_name(part) for part in file.relative_to(out).parts)))
        return any(into.iterdir())


def pack(out: Path, into: Path, what: frozenset[Upload]) -> None:
    """Add the guest's own files to what was staged, as one tar, whole or not at all. Raises HostError."""
    if Upload.REPORT not in what or not (out / FROM_GUEST).is_dir():
        return
    packed = into / f"{FROM_GUEST}.tar"
    with _explained("the plan's artifacts are not in the artifact"):
        try:
            _pack(out / FROM_GUEST, packed)
        except BaseException:
            packed.unlink(missing_ok=True)
            raise


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HostError(f"{what}: {error.strerror}", "Is the disk full?") from error


def link_text(staged: Path, what: frozenset[Upload]) -> str:
    """What the link to the artifact says, in Markdown; GitHub shows no pictures from there, so they are named."""
    kinds = "Report and logs" if Upload.REPORT in what else "Metadata of snapshots"
    pictures = sorted(f"`{path.name}`" for path in staged.glob(f"{PICTURES}/*"))
    return f"{kinds} of this run" + (f", with the pictures {', '.join(pictures)}" if pictures else "")


def _wanted(out: Path, what: frozenset[Upload]) -> Iterator[Path]:
    for top in sorted(out.iterdir()) if out.is_dir() else ():
        kind = Upload.SNAPSHOTS if top.name in SNAPSHOT_FILES else Upload.REPORT
        if top.name != FROM_GUEST and kind in what:
            yield from (path for path in _tree(top) if path.is_file() and not path.is_symlink())


def _tree(top: Path) -> Iterator[Path]:
    """``top`` and all below it, folders first; not by recursion, since a guest says how deep its folders go."""
    waiting = [top]
    while waiting:
        path = waiting.pop()
        yield path
        if path.is_dir() and not path.is_symlink():
            waiting += sorted(path.iterdir(), reverse=True)


def _link(file: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, to)
    except OSError:  # another file system
        shutil.copyfile(file, to)


def _pack(folder: Path, to: Path) -> None:
    with tarfile.open(to, "w") as packed:
        for path in _tree(folder):
            packed.add(path, arcname=path.relative_to(folder.parent), recursive=False)
