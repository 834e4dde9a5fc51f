"""events.jsonl: every event of a run as one line of JSON, written when it happens. It knows no meaning of events.

Each line is flushed to the kernel, so what was written is there even when the tool itself is killed.
"""

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO

from kvm_action.errors import HostError
from kvm_action.events import Event, OutputLine, Sink
from kvm_action.text import shorten
from kvm_action.whole_file import ANOTHER_OUT

LINE_LIMIT: Final = 8000
"""Characters of one line of output that are kept here; provision.log has all of it."""
_ESCAPE: Final = 6
"""Characters that ASCII may make of one."""


Warn = Callable[[str], None]


def _nobody(_text: str) -> None:
    """Takes no warning."""


@contextmanager
def events_file(path: Path, warn: Warn = _nobody) -> Iterator[Sink]:
    """A sink that appends to ``path``. Raises HostError when that cannot be, as when another run does so now.

    Once it is open it breaks no run: when the disk is full, ``warn`` is told once, and no event is added any more.
    """
    with _explained(path):
        file = path.open("a", encoding="utf-8", buffering=1)
        _take(file, path)
    try:
        yield _Appender(file, path, warn).append
    finally:
        with suppress(OSError):
            file.close()


@dataclass
class _Appender:
    file: TextIO
    path: Path
    warn: Warn
    is_broken: bool = False

    def append(self, event: Event) -> None:
        if self.is_broken:
            return
        try:
            self.file.write(line_of(event))
        except OSError as error:
            self.is_broken = True
            self.warn(f"{self.path} is not written any more: {error.strerror}")


def _take(file: TextIO, path: Path) -> None:
    """The kernel lets go of the lock with the process. A file system that knows no locks is no reason to stop."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise HostError(f"another run is writing to {path.parent}", "choose another --out") from error
    except OSError:
        return


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HostError(f"could not write {path}: {error.strerror}", ANOTHER_OUT) from error


def line_of(event: Event) -> str:
    """``event`` as one line, its kind first: ``{"event": "StepStarted", "name": "ssh", "at": …}``."""
    fields = asdict(event)
    if isinstance(event, OutputLine):
        fields["text"] = _bounded(event.text)
    return json.dumps({"event": type(event).__name__, **fields}, default=_iso) + "\n"


def _bounded(text: str) -> str:
    shown = shorten(text, LINE_LIMIT)
    return shown if len(json.dumps(shown)) <= LINE_LIMIT * 2 else shorten(text, LINE_LIMIT // _ESCAPE)


def _iso(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    raise TypeError(f"no JSON for {value!r}")
