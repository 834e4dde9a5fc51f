"""Histories for tests: the samples' runs over months, on both backends, with noise, a step, and failures."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import samples

from kvm_action.history.entry import Entry, Origin, dumps
from kvm_action.history.store import History
from kvm_action.results import AccelInfo, Measures, RunResult, StartInfo

BEGAN = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


def entry(result: RunResult, **facts: object) -> Entry:
    return Entry(result=result, added_at=BEGAN, **facts)  # type: ignore[arg-type]


def run_at(
    number: int, seconds: float, *, base: RunResult | None = None, every: timedelta = timedelta(hours=7)
) -> RunResult:
    """The ``number``-th run of a series, which took ``seconds``."""
    base = base or samples.passed_run()
    at = BEGAN + every * number
    return replace(base, id=f"{at:%Y%m%d-%H%M%S}-{number:06x}", started_at=at, seconds=seconds)


def series(*seconds: float, base: RunResult | None = None) -> list[RunResult]:
    """Green runs that took so long."""
    quiet = replace(base or samples.passed_run(), measures=Measures())
    return [run_at(number, took, base=quiet) for number, took in enumerate(seconds)]


def keep(folder: Path, *results: RunResult) -> History:
    history = History(folder)
    for result in results:
        history.add(entry(result))
    return history


def fill(folder: Path, count: int, seed: int = 1) -> None:
    """``count`` runs, written directly: adding them one by one is not what is measured."""
    random, kinds = Random(seed), _kinds()
    for number in range(count):
        document = json.loads(random.choices(kinds, weights=[40, 30, 3, 2, 1, 1])[0])
        _vary(document["result"], number, random)
        document["origin"]["commit"] = f"{number // 4:040x}"
        result = document["result"]
        path = folder / "runs" / result["started_at"][:4] / result["started_at"][5:7] / f"{result['id']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document))


def _kinds() -> list[str]:
    passed = samples.passed_run()
    docker = replace(
        passed,
        backend="docker",
        accel=AccelInfo(name="none"),
        start=StartInfo(mode="container"),
        seconds=205.0,
        steps=tuple(replace(one, seconds=one.seconds * 0.9) for one in passed.steps),
        host=replace(passed.host, fingerprint="d0c4e2"),  # type: ignore[type-var]
        snapshots=(),
    )
    broken = (samples.failed_check_run(), samples.failed_provision_run())
    others = (samples.stuck_boot_run(), samples.interrupted_run())
    origin = Origin(
        repository="org/vps",
        commit="0" * 40,
        ref="main",
        commit_url="https://github.com/org/vps/commit/" + "0" * 40,
        run_url="https://github.com/org/vps/actions/runs/1/attempts/1",
    )
    console = ("[    2.1] systemd[1]: Reached target multi-user.target", "vps login: ")
    runs = (passed, docker, *broken, *others)
    return [dumps(entry(run, origin=origin, console_tail=console * 10)) for run in runs]


def _vary(result: dict, number: int, random: Random) -> None:  # type: ignore[type-arg]
    at = BEGAN + timedelta(minutes=37 * number)
    shift = at - datetime.fromisoformat(result["started_at"])
    factor = random.gauss(1, 0.04) * (1.15 if number % 1000 > 800 else 1)
    result |= {"id": f"{at:%Y%m%d-%H%M%S}-{number:06x}", "started_at": at.isoformat()}
    result["seconds"] = round(result["seconds"] * factor, 3)
    for step in result["steps"]:
        step["started_at"] = (datetime.fromisoformat(step["started_at"]) + shift).isoformat()
        step["seconds"] = round(step["seconds"] * factor, 3)
    for name, value in result["measures"].items():
        if value is not None:
            result["measures"][name] = round(value * factor, None if name.endswith("bytes") else 3)
