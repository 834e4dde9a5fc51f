"""From a run's output folder into the history: the result, and the little that only the folder knows."""

import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from PIL import Image

from kvm_action import result_file
from kvm_action.errors import PlanError
from kvm_action.history.entry import Entry, Origin
from kvm_action.history.store import PACKAGES, PICTURES, Added, History
from kvm_action.results import RunResult, StepName
from kvm_action.text import plain, shorten

MOST_PICTURES: Final = 4
CONSOLE_LINES: Final = 40
_LINE: Final = 400
_LAST_BYTES: Final = 64 << 10
_MOST_PACKAGES: Final = 4 << 20
_SIZE: Final = (960, 960)
_SUFFIXES: Final = frozenset({".png", ".ppm", ".jpg", ".jpeg", ".webp"})


def results_in(path: Path) -> tuple[Path, ...]:
    """``path`` itself, or the result.json of every run below it but a bench's warm-ups. Raises PlanError for none.

    Not what lies deeper in the folder of a run: that came out of its guest, which may call a file what it likes.
    """
    if not path.is_dir():
        return (path,)
    found = tuple(file for file in result_file.below(path) if not file.parent.name.endswith("-warmup"))
    if not found:
        raise PlanError(f"there is no result.json in {path}", "give the output folder of a run")
    return found


def add_result(history: History, path: Path, environ: Mapping[str, str], now: datetime | None = None) -> Added:
    """Keep the result in the file ``path``. Raises PlanError when it is none, HostError when it cannot be kept."""
    result, folder = result_file.read(path), path.parent
    packages = _bytes(folder / "guest" / "packages.txt", _MOST_PACKAGES)
    entry = Entry(
        result=without_places(result),
        added_at=now or datetime.now(UTC),
        origin=Origin.from_environ(environ),
        packages=history.keep(PACKAGES, packages, "") if packages else "",
        pictures=tuple(history.keep(PICTURES, one, ".jpg") for one in _pictures(folder / "screenshots")),
        console_tail=last_lines(folder / "console.log"),
    )
    return history.add(entry)


def without_places(result: RunResult) -> RunResult:
    """``result`` without where things lay on the host that ran it: a history is often public, and outlives it."""
    steps = tuple(
        replace(step, detail=Path(step.detail).name) if step.name is StepName.REPORT else step
        for step in result.steps
    )
    return replace(result, steps=steps, plan=replace(result.plan, path=_name(result.plan.path)))


def _name(path: str) -> str:
    """The end of an absolute path; a relative one says nothing of the host."""
    return "/".join(Path(path).parts[-2:]) if path.startswith("/") else path


def last_lines(path: Path, count: int = CONSOLE_LINES) -> tuple[str, ...]:
    """The last lines of a log of any size, harmless and none too long; none when there is no such file."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - _LAST_BYTES, 0))
            text = file.read(_LAST_BYTES).decode(errors="replace")
    except OSError:
        return ()
    lines = [line.rstrip() for line in plain(text).splitlines()]
    whole = lines[1:] if size > _LAST_BYTES and len(lines) > 1 else lines
    return tuple(shorten(line, _LINE) for line in whole[-count:])


def _bytes(path: Path, limit: int) -> bytes:
    try:
        content = path.read_bytes()
    except OSError:
        return b""
    return content if len(content) <= limit else b""


def _pictures(folder: Path) -> Iterator[bytes]:
    """The folder's first pictures, small; what is no picture is left out."""
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    except OSError:
        return
    for path in files[:MOST_PICTURES]:
        try:
            with Image.open(path) as image:
                image.thumbnail(_SIZE)
                small = io.BytesIO()
                image.convert("RGB").save(small, "JPEG", quality=75, optimize=True)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # Pillow's words for "damaged"
            continue
        yield small.getvalue()
