"""debugfs of e2fsprogs: looks into an ext2, ext3 or ext4 file system in a raw disk, without mounting it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from kvm_action import proc
from kvm_action.errors import ImageError
from kvm_action.images.tools import DEBUGFS, SEARCH_PATH

_ALLOWED: Final = timedelta(minutes=10)


def run(place: str, commands: Sequence[str]) -> list[list[str]]:
    """What debugfs prints for each command; ``place`` is ``DISK?offset=BYTES``. Raises ImageError, HostError."""
    DEBUGFS.require()
    if any("\n" in command for command in commands):  # what follows would be a command of its own
        raise ImageError("debugfs takes no name with a line end in it")
    done = proc.run(
        ["debugfs", "-f", "-", place],
        stdin="".join(f"{command}\n" for command in commands),
        timeout=_ALLOWED,
        environment={"PATH": SEARCH_PATH, "LC_ALL": "C", "DEBUGFS_PAGER": "cat"},
        errors="surrogateescape",  # names of other bytes are other names
    )
    answers: list[list[str]] = []
    for line in done.stdout.split("\n"):
        if line.startswith("debugfs: "):
            answers.append([])
        elif answers:
            answers[-1].append(line)
    if not done.ok or len(answers) != len(commands):
        raise ImageError(
            f"the root file system cannot be read: {ascii(done.last_words)[1:-1]}",
            hint="a container's files are taken from ext2, ext3 and ext4 only; or name a container image: docker://…",
        )
    return answers


def quoted(path: str) -> str:
    """``path`` as one word of a command."""
    return '"' + path.replace('"', '""') + '"'
