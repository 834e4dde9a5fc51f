"""Measuring: warm-ups first, then rounds in which every backend has its turn, the order swapped each time."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from kvm_action.bench.samples import Bench, Missing, Sample, series_of
from kvm_action.errors import E2EError, FailureClass, InterruptedRunError
from kvm_action.plan.load import LoadedPlan
from kvm_action.results import Failure, Outcome, RunResult
from kvm_action.wait import Clock

Run = Callable[[str, Path], RunResult]
"""Runs the plan once on a backend, with its results in that folder. Raises E2EError when it cannot be begun."""

Load = Callable[[], tuple[float, float, float]]

_GIVE_UP_AFTER: Final = 2
"""Runs of a backend in a row that did not pass."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One run that is to be made."""

    backend: str
    warmup: bool


def schedule(backends: Sequence[str], runs: int, warmups: int) -> tuple[Turn, ...]:
    """All turns in order: whatever drifts (heat, caches, load) meets all backends alike."""
    rounds = [(number, number < warmups) for number in range(warmups + runs)]
    return tuple(
        Turn(backend=backend, warmup=warmup)
        for number, warmup in rounds
        for backend in (backends if number % 2 == 0 else backends[::-1])
    )


@dataclass(frozen=True, kw_only=True)
class Told:
    """What is told while it goes on: a turn begins, and has ended (None: it could not be begun)."""

    begins: Callable[[int, int, Turn], None]
    ended: Callable[[Turn, RunResult | None], None]


@dataclass
class _Progress:
    samples: list[Sample] = field(default_factory=list)
    missing: dict[str, Missing] = field(default_factory=dict)
    bad: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Measuring:
    """How to measure: ``run`` makes one sample in a folder below ``out``."""

    loaded: LoadedPlan
    out: Path
    run: Run
    told: Told
    load: Load = os.getloadavg
    clock: Clock = time.monotonic

    def measure(self, id_: str, backends: Sequence[str], runs: int, warmups: int) -> Bench:
        """Make all samples. A backend that does not work is left out from then on, with its reason."""
        started, began, progress = datetime.now(UTC), self.clock(), _Progress()
        turns = schedule(backends, runs, warmups)
        for number, turn in enumerate(turns, start=1):
            if turn.backend in progress.missing:
                continue
            self.told.begins(number, len(turns), turn)
            result = self._take(number, turn, progress)
            self.told.ended(turn, result)
            if result and result.outcome is Outcome.INTERRUPTED:
                break
        seconds = self.clock() - began
        return Bench(
            id=id_,
            plan=self.loaded.plan.name,
            digest=self.loaded.digest,
            started_at=started.isoformat(),
            seconds=round(seconds, 3),
            overhead_seconds=round(seconds - sum(each.result.seconds for each in progress.samples), 3),
            samples=tuple(progress.samples),
            missing=tuple(progress.missing.values()),
            series=series_of(progress.samples),
        )

    def _take(self, number: int, turn: Turn, progress: _Progress) -> RunResult | None:
        folder = f"samples/{number:03d}-{turn.backend}{'-warmup' if turn.warmup else ''}"
        load = self.load()
        try:
            result = self.run(turn.backend, self.out / folder)
        except InterruptedRunError:
            raise
        except E2EError as error:
            progress.missing[turn.backend] = _missing(turn.backend, error)
            return None
        progress.samples.append(Sample(number=number, warmup=turn.warmup, load=load, folder=folder, result=result))
        self._judge(turn, result, progress)
        return result

    def _judge(self, turn: Turn, result: RunResult, progress: _Progress) -> None:
        if result.outcome in (Outcome.PASSED, Outcome.INTERRUPTED):
            progress.bad[turn.backend] = 0
            return
        progress.bad[turn.backend] = progress.bad.get(turn.backend, 0) + 1
        failure = result.failure
        hopeless = failure is not None and failure.failure_class in _HOPELESS
        if failure and (hopeless or turn.warmup or progress.bad[turn.backend] >= _GIVE_UP_AFTER):
            progress.missing[turn.backend] = _failed(turn.backend, failure, result.exit_code)


_HOPELESS: Final = (FailureClass.HOST, FailureClass.IMAGE, FailureClass.PLAN)


def _missing(backend: str, error: E2EError) -> Missing:
    return Missing(backend=backend, reason=error.message, hint=error.hint, exit_code=error.exit_code)


def _failed(backend: str, failure: Failure, exit_code: int) -> Missing:
    return Missing(
        backend=backend,
        reason=f"in {failure.step}: {failure.message}",
        hint=failure.hint,
        exit_code=exit_code,
    )
