"""Carries out all looks at once, each against its own deadline, so that one that hangs does not hang the rest."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Event, Thread
from typing import Final

from kvm_action.doctor.finding import Finding, Level
from kvm_action.errors import E2EError
from kvm_action.patience import stretched
from kvm_action.wait import Deadline

PATIENCE: Final = timedelta(seconds=10)


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A look at one subject. ``late`` is what it means when it does not come to an end."""

    subject: str
    look: Callable[[], Sequence[Finding]]
    patience: timedelta = PATIENCE
    has_begun: Event = field(default_factory=Event)
    """Set by a look that from now on has something on the host to take away again: it gets three times as long."""
    late: Level = Level.WARNING
    mend_late: str = ""


def examine(probes: Iterable[Probe]) -> list[Finding]:
    """The findings of all probes, in the probes' order. Takes as long as the slowest, which has its patience.

    An expected error of a probe is a finding of its own; any other is a bug and is raised.
    """
    started = [(probe, _start(probe), Deadline(stretched(probe.patience))) for probe in probes]
    return [finding for probe, future, deadline in started for finding in _collect(probe, future, deadline)]


def _start(probe: Probe) -> "Future[Sequence[Finding]]":
    """Look in a daemon thread: unlike a pool's thread, it is not waited for when we end."""
    future: Future[Sequence[Finding]] = Future()

    def look() -> None:
        try:
            future.set_result(probe.look())
        except BaseException as error:  # noqa: BLE001 - not swallowed: it is raised again where the result is read
            future.set_exception(error)

    Thread(target=look, name=f"doctor-{probe.subject}", daemon=True).start()
    return future


def _collect(probe: Probe, future: "Future[Sequence[Finding]]", deadline: Deadline) -> Sequence[Finding]:
    try:
        with suppress(TimeoutError):
            return future.result(deadline.left)
        return future.result(2 * deadline.allowed.total_seconds() if probe.has_begun.is_set() else 0)
    except E2EError as error:
        return [Finding(subject=probe.subject, level=probe.late, seen=error.message, mend=_as_comment(error.hint))]
    except TimeoutError:
        seen = f"did not answer in {deadline.allowed.total_seconds():.0f} s"
        return [Finding(subject=probe.subject, level=probe.late, seen=seen, mend=probe.mend_late)]
    except OSError as error:
        return [Finding(subject=probe.subject, level=probe.late, seen=f"cannot be looked at: {error}")]


def _as_comment(hint: str) -> str:
    """A hint is a command or a sentence; only the former may stand bare in a shell."""
    return hint if not hint or hint.startswith(("sudo ", "kvm-e2e ")) else f"# {hint}"
