"""Programs of the host. The only module that starts a process."""

import contextlib
import os
import selectors
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from shlex import join
from threading import Event, Thread
from typing import IO, Final, NoReturn, cast

from kvm_action.errors import HostError
from kvm_action.shortage import lack_of
from kvm_action.units import format_size
from kvm_action.wait import Deadline, until

Process = subprocess.Popen[bytes]
"""A program that was started."""
PIPE: Final = subprocess.PIPE
_LINGER: Final = 2.0
"""Seconds for which children may hold open the output of a program that has ended."""
_PIECE: Final = 1 << 16


@dataclass(frozen=True)
class Completed:
    """A program that has ended."""

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        """Did it exit 0?"""
        return self.status == 0

    @property
    def last_words(self) -> str:
        """The last line it printed, errors first: what to quote in a message."""
        lines = (self.stderr.strip() or self.stdout.strip()).splitlines()
        return lines[-1].strip() if lines else f"exit status {self.status}, nothing printed"


def run(
    argv: Sequence[str | Path],
    *,
    timeout: timedelta = timedelta(minutes=1),
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: str | None = None,
    errors: str = "replace",
) -> Completed:
    """Run a program to its end and return what it printed, decoded as ``errors`` says.

    The program and its children are killed when ``timeout`` passes or when we are interrupted.
    ``environment`` is added to ours. Raises HostError when it cannot be started or takes too long; a status
    other than 0 is for the caller to judge.
    """
    words = tuple(str(word) for word in argv)
    with (
        start(words, cwd=cwd, environment=environment, stdin=subprocess.PIPE) as process,
        _ended_in_time(words, process, timeout),
    ):
        stdout, stderr = process.communicate(
            stdin.encode() if stdin is not None else None, timeout.total_seconds()
        )
    return Completed(words, process.returncode, stdout.decode(errors=errors), stderr.decode(errors=errors))


def run_bounded(argv: Sequence[str | Path], *, most: int, timeout: timedelta) -> Completed:
    """Run a program whose output a stranger writes: like `run`, without input, and killed beyond ``most`` bytes.

    Raises HostError when it cannot be started, takes too long or prints more than that on both outputs together.
    """
    words = tuple(str(word) for word in argv)
    with start(words) as process, _ended_in_time(words, process, timeout):
        deadline = Deadline(timeout)
        outputs = _outputs(process, deadline, most)
        if outputs is None:
            raise HostError(f"`{join(words)}` printed more than {format_size(most)}")
        process.wait(deadline.left)
    stdout, stderr = (output.decode(errors="replace") for output in outputs)
    return Completed(words, process.returncode, stdout, stderr)


def _outputs(process: "subprocess.Popen[bytes]", deadline: Deadline, most: int) -> tuple[bytes, bytes] | None:
    """All that is printed on both outputs, None when it is more than ``most`` bytes."""
    printed, errors = bytearray(), bytearray()
    with selectors.DefaultSelector() as unfinished:
        unfinished.register(cast(IO[bytes], process.stdout), selectors.EVENT_READ, printed)
        unfinished.register(cast(IO[bytes], process.stderr), selectors.EVENT_READ, errors)
        while unfinished.get_map():
            if deadline.passed:
                raise subprocess.TimeoutExpired(process.args, deadline.allowed.total_seconds())
            for key, _ in unfinished.select(deadline.left):
                if piece := os.read(key.fd, _PIECE):
                    key.data.extend(piece)
                else:
                    unfinished.unregister(key.fileobj)
            if len(printed) + len(errors) > most:
                return None
    return bytes(printed), bytes(errors)


@contextlib.contextmanager
def _ended_in_time(
    words: tuple[str, ...], process: "subprocess.Popen[bytes]", timeout: timedelta
) -> Iterator[None]:
    """At the end, whatever it is, nothing of the program runs any more."""
    try:
        with _nobody_lingers(process):
            yield
    except subprocess.TimeoutExpired:
        raise HostError(f"`{join(words)}` took longer than {timeout.total_seconds():.0f} s") from None
    finally:
        kill_group(process)


@contextlib.contextmanager
def _nobody_lingers(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Children that hold a program's output open, or do not read its input, are killed soon after its end."""
    done = Event()

    def watch() -> None:
        with contextlib.suppress(ChildProcessError):  # somebody has waited for it already
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        if not done.wait(_LINGER):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)

    Thread(target=watch, name="lingering", daemon=True).start()
    try:
        yield
    finally:
        done.set()


def start(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int | IO[bytes] = subprocess.PIPE,
) -> "subprocess.Popen[bytes]":
    """Start a program in a process group of its own; the caller ends it (see `kill_group`).

    Raises HostError when it cannot be started.
    """
    words = [str(word) for word in argv]
    try:
        return subprocess.Popen(
            words,
            cwd=cwd,
            env={**os.environ, **environment} if environment else None,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    except OSError as error:
        raise lack_of(error) or HostError(
            f"cannot start `{words[0]}`: {error.strerror}",
            hint="install it; `kvm-e2e doctor` names the package",
        ) from error


def become(argv: Sequence[str | Path], package: str) -> NoReturn:
    """Let a program take this process's place: terminal, signals and exit status are then its own.

    Raises HostError, which names Debian's ``package`` of it, when it cannot be started.
    """
    words = [str(word) for word in argv]
    try:
        os.execvp(words[0], words)  # noqa: S606 - a list of words, no shell
    except OSError as error:
        raise HostError(
            f"cannot start `{words[0]}`: {error.strerror}", hint=f"sudo apt-get install -y {package}"
        ) from error


def has_ended(process: "subprocess.Popen[bytes]") -> bool:
    """Has a program that `start` started ended? It is not waited for, so that its group is still its own."""
    if process.returncode is not None:
        return True
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
    except ChildProcessError:
        return True


def end(process: "subprocess.Popen[bytes]", grace: timedelta) -> None:
    """Ask a program that `start` started, and its children, to end; wait ``grace`` for that, then kill them."""
    if not has_ended(process):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGTERM)
        until(lambda: has_ended(process), Deadline(grace), every=0.02)
    kill_group(process)


def kill_group(process: "subprocess.Popen[bytes]") -> None:
    """Kill a program that `start` started, with all its children, unless its end was waited for. Never raises."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
