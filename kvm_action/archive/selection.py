"""Which files of a local tree are copied. Reads folders, never the files themselves."""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

from kvm_action.errors import PlanError


@dataclass(frozen=True)
class Selection:
    """Names relative to ``root``, parents before their children; ``skipped`` are sockets, pipes and devices."""

    root: Path
    names: tuple[str, ...]
    skipped: tuple[str, ...] = ()


def select(source: Path, exclude: Sequence[str] = ()) -> Selection:
    """Everything below ``source``, or ``source`` itself when it is a file, that ``exclude`` leaves.

    ``exclude`` has the meaning of a .gitignore in ``source``: ``.git`` matches at any depth, ``/build`` only at
    the top, ``*.log`` by name, ``docs/`` only folders, ``!keep.log`` takes a file back. Links are never
    followed, except ``source``. Raises PlanError when ``source`` does not exist or cannot be read.
    """
    try:
        root = source.resolve(strict=True)
        if not root.is_dir():
            return Selection(root.parent, (root.name,))
        spec = GitIgnoreSpec.from_lines(exclude)
        found = list(_walk(root, "", spec))
    except OSError as error:
        raise PlanError(
            f"cannot read {error.filename or source}: {error.strerror}",
            hint="`files: from` is a path relative to the plan; check that it exists and is readable",
        ) from error
    except ValueError as error:
        raise PlanError(f"an `exclude` pattern for {source} is not valid: {error}") from error
    return Selection(
        root,
        tuple(name for name, ordinary in found if ordinary),
        tuple(name for name, ordinary in found if not ordinary),
    )


def _walk(root: Path, folder: str, spec: GitIgnoreSpec) -> Iterator[tuple[str, bool]]:
    with os.scandir(root / folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            name = f"{folder}{entry.name}"
            is_folder = entry.is_dir(follow_symlinks=False)
            if spec.match_file(f"{name}/" if is_folder else name):
                continue
            yield name, is_folder or _is_ordinary(entry)
            if is_folder:
                yield from _walk(root, f"{name}/", spec)


def _is_ordinary(entry: "os.DirEntry[str]") -> bool:
    mode = entry.stat(follow_symlinks=False).st_mode
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)
