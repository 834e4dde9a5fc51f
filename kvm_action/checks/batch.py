"""Small questions to a guest, gathered: one round trip carries all that several checks want to know then.

A login shell, its sudo and sshd's fork cost an emulated guest a second; the question itself costs milliseconds.
"""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from shlex import quote
from threading import Event, Lock
from typing import Final

from kvm_action.errors import CommandTimeoutError, E2EError
from kvm_action.guest import Guest, GuestOutput
from kvm_action.guest_io import named
from kvm_action.wait import Deadline, pause

_LINGER: Final = 0.005
"""Seconds to wait for more questions before a round trip begins."""
_WORKERS: Final = 4
"""Shells that answer a batch side by side: a question that hangs stops only those behind it in its own."""
_FIRST: Final = 9
_EACH: Final = 1
"""Seconds for a worker, and more of them for each of its questions."""
_LOGIN: Final = 50
_MOST: Final = 64
_KEEP: Final = 8 << 20

# As root where sudo works. The script ends with status 0, so the second shell runs only if the first could not.
_SHELL: Final = "sudo -n sh || sh"


@dataclass
class _Question:
    """A command, and its answer once it is ``settled``; without one it has to be asked alone."""

    command: str
    turn: Event = field(default_factory=Event)
    """Set when it is settled, or when it is this one's turn to ask for all."""
    settled: bool = False
    answer: GuestOutput | E2EError | None = None


class Batches:
    """Asks a guest, from several threads at once; as root where the plan's user may use sudo.

    One of the threads that wait asks for all of them, and when it comes back, one of those that came meanwhile.
    """

    def __init__(self, guest: Guest) -> None:
        """Asks nothing yet."""
        self._guest = guest
        self._lock = Lock()
        self._waiting: list[_Question] = []
        self._somebody_asks = False
        self._root_lock = Lock()
        self._as_root: bool | None = None
        self._known: dict[str, GuestOutput] = {}
        self._unanswered: set[str] = set()

    def foresee(self, commands: Sequence[str]) -> None:
        """Ask for ``commands`` at once, and keep the answers for when they are asked. Raises E2EError."""
        for start in range(0, len(commands), _MOST):
            batch = [_Question(command) for command in commands[start : start + _MOST]]
            self._answer(batch)
            for question in batch:
                if isinstance(question.answer, E2EError):
                    raise question.answer
                if question.answer:
                    self._known[question.command] = question.answer
                else:
                    self._unanswered.add(question.command)

    def ask(self, command: str, deadline: Deadline) -> GuestOutput:
        """The command's end. Raises CommandTimeoutError, GuestConnectionError."""
        if command in self._known:
            return self._known[command]
        if deadline.passed:
            raise CommandTimeoutError(f"no time was left for {named(command)}")
        if command in self._unanswered:  # it stays alone, so that it cannot stop others again
            return self._ask_alone(command, deadline)
        question = _Question(command)
        with self._lock:
            self._waiting.append(question)
            if not self._somebody_asks:
                self._somebody_asks = True
                question.turn.set()
        question.turn.wait()
        if not question.settled:
            self._ask_for_all()
        if isinstance(question.answer, E2EError):
            raise question.answer
        return question.answer or self._ask_alone(command, deadline)

    def _ask_for_all(self) -> None:
        pause(_LINGER)
        with self._lock:
            batch, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
        try:
            self._answer(batch)
        finally:
            for question in batch:
                question.settled = True
                question.turn.set()
            self._pass_on()

    def _pass_on(self) -> None:
        with self._lock:
            self._somebody_asks = bool(self._waiting)
            if self._waiting:
                self._waiting[0].turn.set()

    def _answer(self, batch: Sequence[_Question]) -> None:
        mark = secrets.token_hex(12)
        commands = [question.command for question in batch]
        try:
            ended = self._guest.run(
                _SHELL,
                stdin=batch_script(mark, commands).encode(errors="surrogateescape"),
                timeout=timedelta(seconds=_seconds(len(batch)) + _LOGIN),
                keep_bytes=_KEEP,
            )
        except CommandTimeoutError:
            return
        except E2EError as error:
            for question in batch:
                question.answer = error
            return
        for number, answer in batch_answers(mark, commands, ended).items():
            batch[number].answer = answer

    def _ask_alone(self, command: str, deadline: Deadline) -> GuestOutput:
        return self._guest.run(command, timeout=timedelta(seconds=deadline.left), sudo=self._may_be_root())

    def _may_be_root(self) -> bool:
        with self._root_lock:
            if self._as_root is None:
                self._as_root = self._guest.run("true", sudo=True, timeout=timedelta(seconds=_LOGIN)).ok
            return self._as_root


def batch_script(mark: str, commands: Sequence[str]) -> str:
    """A shell script that runs ``commands``, a few at a time, and prints what each one says between ``mark``s.

    Each worker has a time limit of its own; what it could not answer by then is left out. Files in memory keep the
    answers apart, and end a command that prints without end.
    """
    workers = [range(first, len(commands), _WORKERS) for first in range(min(_WORKERS, len(commands)))]
    lines = [
        "command -v timeout >/dev/null || exit 0",
        "umask 077",
        "d=$(mktemp -d /dev/shm/kvm-e2e.XXXXXX 2>/dev/null || mktemp -d) || exit 0",
        """trap 'rm -rf "$d"' EXIT; trap 'exit 1' HUP TERM""",
        *(_worker(mark, commands, numbers) for numbers in workers),
        "wait",
        'cat "$d"/*.out; cat "$d"/*.err >&2',
        "exit 0",
    ]
    return "\n".join(lines) + "\n"


def _worker(mark: str, commands: Sequence[str], numbers: range) -> str:
    """A shell of its own, in the background: one command after the other, without a process but theirs."""
    files = f'>"$d/{numbers[0]}.out" 2>"$d/{numbers[0]}.err"'
    return "\n".join(
        [
            f"timeout -k 1 {_seconds(len(numbers))} sh {files} <<'{mark}' &",
            f"m={mark}; ulimit -f {_KEEP // 512}",
            'q() { printf "$m:$1:"; printf "$m:$1:" >&2; (eval "$2") </dev/null; s=$?',
            'printf "$m=$1=$s:"; printf "$m=$1=$s:" >&2; }',
            *(f"q {number} {quote(commands[number])}" for number in numbers),
            mark,
        ]
    )


def _seconds(count: int) -> int:
    """What a worker may take for that many commands."""
    return _FIRST + _EACH * count


def batch_answers(mark: str, commands: Sequence[str], ended: GuestOutput) -> Mapping[int, GuestOutput]:
    """The commands' ends by their number, out of the script's. Those that were cut short are left out."""
    frame = re.compile(rb"%b:(\d+):(.*?)%b=\1=(\d+):" % (mark.encode(), mark.encode()), re.DOTALL)
    errors = {int(found[1]): found[2] for found in frame.finditer(ended.stderr)}
    answers = {}
    for found in frame.finditer(ended.stdout):
        number, output, status = int(found[1]), found[2], int(found[3])
        if number in errors:
            answers[number] = GuestOutput(commands[number], status, output, errors[number])
    return answers
