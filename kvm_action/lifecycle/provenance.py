"""What a run was made of, so that two can be told apart: the script with its files, and the guest's packages."""

import os
import shlex
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

from kvm_action.archive import select
from kvm_action.digest import sha256_of
from kvm_action.errors import GuestConnectionError, HostError
from kvm_action.events import Note
from kvm_action.lifecycle.context import RunContext
from kvm_action.plan.load import LoadedPlan
from kvm_action.whole_file import ANOTHER_OUT, write_whole

PACKAGES: Final = "guest/packages.txt"
"""In the output folder: a line ``name version`` for each package of the guest, sorted."""

_SCRIPT: Final = (
    "export LC_ALL=C; { dpkg-query -W -f '${Package} ${Version}\\n' 2>/dev/null"
    " || rpm -qa --qf '%{NAME} %{VERSION}-%{RELEASE}\\n' 2>/dev/null; } | sort"
)
_LIST: Final = f"timeout 30 sh -c {shlex.quote(_SCRIPT)}"
_TIME: Final = timedelta(minutes=1)


def script_digest(loaded: LoadedPlan) -> str:
    """sha256 over the script's lines and the files that the plan copies. Secrets and times are not in it.

    Raises PlanError when a file cannot be read.
    """
    made = sha256(f"{loaded.plan.provision.workdir}\0{loaded.plan.provision.run}\0".encode())
    for item in loaded.plan.files:
        made.update(f"{item.to}\0".encode())
        selection = select(loaded.folder / item.source, item.exclude)
        for fact in _facts(selection.root, selection.names):
            made.update(f"{fact}\0".encode(errors="surrogateescape"))
    return made.hexdigest()


def _facts(root: Path, names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        path = root / name
        if path.is_symlink():
            yield f"{name} -> {path.readlink()}"
        elif path.is_file():
            yield f"{name} {os.access(path, os.X_OK):d} {sha256_of(path)}"
        else:
            yield name


def note_packages(context: RunContext) -> None:
    """Write the guest's packages into the output folder. That it cannot be done is a note, not a failure."""
    path = context.out / PACKAGES
    if path.exists():
        return
    try:
        listed = context.guest.run(_LIST, timeout=_TIME, keep_bytes=8 << 20).stdout.decode(errors="replace")
        if listed.strip():
            path.parent.mkdir(exist_ok=True)
            write_whole(path, listed, ANOTHER_OUT)
    except (GuestConnectionError, HostError) as error:  # an interruption passes
        context.sink(Note(text=f"the guest's packages could not be listed: {error.message}", warning=True))
