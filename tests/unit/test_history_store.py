"""The history's folder: nothing is lost, nothing is overwritten, what cannot be read is named."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import histories
import pytest
import samples
from PIL import Image

from kvm_action import result_file
from kvm_action.errors import HostError, PlanError
from kvm_action.history.adding import add_result, last_lines, results_in
from kvm_action.history.entry import SCHEMA, Origin
from kvm_action.history.store import PACKAGES, PICTURES, History
from kvm_action.results import RunResult


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_run_is_kept_under_its_month_and_read_back(tmp_path: Path) -> None:
    added = histories.keep(tmp_path, samples.failed_check_run()).add(histories.entry(samples.plan_error_run()))
    assert added.path == tmp_path / "runs/2026/03/20260314-120231-000000.json"
    plain, failed = History(tmp_path).read().records
    assert (plain.id, failed.id) == ("20260314-120231-000000", "20260314-120231-3f9a1c")
    assert failed.failed_step == "validate"
    assert failed.step_seconds["provision"] == 191.2
    assert failed.start_seconds == pytest.approx(0.03 + 0.02 + 0.42 + 6.1 + 1.9)
    assert [check.name for check in failed.checks] == [check.name for check in samples.failed_check_run().checks]
    assert failed.measures["memory_peak_bytes"] == 1_830_000_000


def test_the_same_result_twice_is_kept_once(tmp_path: Path) -> None:
    history = histories.keep(tmp_path, samples.passed_run())
    again = history.add(histories.entry(samples.passed_run(), origin=Origin(repository="org/other")))
    assert not again.is_new
    assert len(files(tmp_path)) == 1


def test_two_runs_with_one_id_are_both_kept_and_can_be_told_apart(tmp_path: Path) -> None:
    history = histories.keep(tmp_path, samples.passed_run())
    other = replace(samples.failed_check_run(), id=samples.passed_run().id)
    added = history.add(histories.entry(other))
    assert (added.is_new, added.same_id) == (True, True)
    assert not history.add(histories.entry(other)).is_new
    records = history.read().records
    assert len({record.key for record in records}) == 2
    assert len({record.id for record in records}) == 1


@pytest.mark.parametrize(
    "run_id", ["../../../evil", "/etc/passwd", "", "a/b", ".", "x" * 300, "a\0b", samples.HOSTILE]
)
def test_an_id_is_never_a_path(run_id: str, tmp_path: Path) -> None:
    history = histories.keep(tmp_path / "h", replace(samples.passed_run(), id=run_id))
    assert [path.parent for path in files(tmp_path)] == [tmp_path / "h/runs/2026/03"]
    assert len(history.read().records) == 1


BROKEN = {
    "cut off": ('{"schema": "kvm-e2e/history/v1", "result": {"id"', "not JSON"),
    "empty": ("", "not JSON"),
    "a list": ("[1]", "not a JSON object"),
    "something else": ('{"schema": "other"}', '"schema"'),
    "no result": (json.dumps({"schema": SCHEMA}), "started_at"),
    "newer": ('{"schema": "kvm-e2e/history/v2", "result": {}}', "newer kvm-e2e"),
    "newer result": ('{"schema": "kvm-e2e/result/v9"}', "newer kvm-e2e"),
    "odd outcome": (
        '{"schema": "kvm-e2e/result/v1", "outcome": ["passed"], "started_at": "2026-01-01"}',
        '"outcome"',
    ),
    "odd date": ('{"schema": "kvm-e2e/result/v1", "outcome": "passed", "started_at": "soon"}', "started_at"),
    "odd plan": (
        '{"schema": "kvm-e2e/result/v1", "outcome": "passed", "started_at": "2026-01-01", "plan": 3}',
        '"plan" is no object',
    ),
    "deep": ('{"schema":' + "[" * 200_000, "not JSON"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_named_and_passed_over_and_stays_as_it_is(kind: str, tmp_path: Path) -> None:
    text, reason = BROKEN[kind]
    history = histories.keep(tmp_path, samples.passed_run())
    broken = tmp_path / "runs/2026/03/20260314-120231-000000.json"
    broken.write_text(text)
    reading = history.read()
    assert len(reading.records) == 1
    assert [skipped.path for skipped in reading.skipped] == [broken]
    assert reason in reading.skipped[0].reason
    history.add(histories.entry(samples.plan_error_run()))  # which has the broken file's id
    assert broken.read_text() == text
    assert len(history.read().records) == 2


def test_a_bare_result_json_in_the_folder_is_read_as_an_older_entry(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    before = result_file.dumps(samples.passed_run())
    (folder / "old.json").write_text(before)
    (record,) = History(tmp_path).read().records
    assert (record.key, record.plan, record.is_green) == ("old", "vps", True)
    assert (folder / "old.json").read_text() == before


def test_bare_results_of_one_name_have_keys_of_their_own(tmp_path: Path) -> None:
    for number, run in enumerate((samples.passed_run(), samples.failed_check_run())):
        (tmp_path / f"runs/{number}").mkdir(parents=True)
        (tmp_path / f"runs/{number}/result.json").write_text(result_file.dumps(run))
    keys = {record.key for record in History(tmp_path).read().records}
    assert len(keys) == 2
    assert keys == {key for key, _document in History(tmp_path).documents()}


def test_numbers_that_are_none_do_not_reach_the_figures(tmp_path: Path) -> None:
    document = json.loads(result_file.dumps(samples.passed_run()))
    document["measures"] = {"memory_peak_bytes": "many", "disk_bytes": float("nan"), "provision_seconds": True}
    document["seconds"] = None
    document["steps"][0]["seconds"] = -5
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/x.json").write_text(json.dumps(document))
    (record,) = History(tmp_path).read().records
    assert record.measures == {}
    assert record.seconds == 0
    assert "prerequisites" not in record.step_seconds


def test_runs_are_told_by_their_time_even_when_the_clock_went_backwards(tmp_path: Path) -> None:
    late, early = histories.run_at(5, 1.0), histories.run_at(1, 1.0)
    records = histories.keep(tmp_path, late, early).read().records
    assert [record.id for record in records] == [early.id, late.id]


def test_no_history_is_an_empty_one_and_a_file_in_its_place_an_error(tmp_path: Path) -> None:
    assert History(tmp_path / "none").read().records == ()
    (tmp_path / "file").write_text("")
    with pytest.raises(PlanError, match="is no folder"):
        History(tmp_path / "file").read()


def test_a_folder_that_cannot_be_written_is_an_error_that_says_so() -> None:
    with pytest.raises(HostError, match="could not write"):
        History(Path("/proc/self")).add(histories.entry(samples.passed_run()))


def output_folder(folder: Path, result: RunResult) -> Path:
    (folder / "guest").mkdir(parents=True)
    (folder / "screenshots").mkdir()
    result_file.write(result, folder / "result.json")
    (folder / "guest/packages.txt").write_text("apt 2.6\n")
    (folder / "console.log").write_bytes(b"\x1b[31m[ 0.1] boot\x1b[0m\r\n" * 3)
    Image.new("RGB", (2000, 1500), "teal").save(folder / "screenshots/desktop.png")
    (folder / "screenshots/broken.png").write_bytes(b"\x89PNG")
    return folder / "result.json"


def test_packages_pictures_and_the_consoles_end_come_along_once(tmp_path: Path) -> None:
    history = History(tmp_path / "history")
    for number in (1, 2):
        add_result(history, output_folder(tmp_path / f"out{number}", histories.run_at(number, 1)), {})
    first, second = (document for _, document in history.documents())
    assert first["packages"] == second["packages"]
    assert len(files(tmp_path / "history/packages")) == len(files(tmp_path / "history/pictures")) == 1
    assert history.kept(PACKAGES, first["packages"]).read_text() == "apt 2.6\n"  # type: ignore[union-attr]
    with Image.open(history.kept(PICTURES, first["pictures"][0])) as picture:  # type: ignore[arg-type]
        assert picture.width == 960
    assert first["console_tail"] == ["[ 0.1] boot"] * 3
    assert first["origin"] is None


def test_a_name_of_something_kept_is_never_a_path(tmp_path: Path) -> None:
    (tmp_path / "packages").mkdir()
    (tmp_path / "secret").write_text("x")
    assert History(tmp_path).kept(PACKAGES, "../secret") is None


def test_the_job_is_noted_as_github_tells_it() -> None:
    environ = {
        "GITHUB_REPOSITORY": "org/vps",
        "GITHUB_SHA": "abc",
        "GITHUB_REF_NAME": "main",
        "GITHUB_RUN_ID": "7",
    }
    origin = Origin.from_environ(environ)
    assert origin is not None
    assert origin.commit_url == "https://github.com/org/vps/commit/abc"
    assert origin.run_url == "https://github.com/org/vps/actions/runs/7/attempts/1"
    assert Origin.from_environ({}) is None


def test_the_end_of_a_log_of_fifty_megabytes_is_read_without_reading_it_whole(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    with log.open("wb") as file:
        file.seek(50 << 20)
        file.write(b"\n" + b"x" * 100_000 + b"\nthe end\n")
    begun = perf_counter()
    lines = last_lines(log)
    assert perf_counter() - begun < 0.2
    assert lines[-1] == "the end"
    assert all(len(line) < 500 for line in lines)


def test_a_bench_is_added_without_its_warm_ups(tmp_path: Path) -> None:
    for name in ("000-kvm-warmup", "001-kvm"):
        (tmp_path / "samples" / name).mkdir(parents=True)
        result_file.write(samples.passed_run(), tmp_path / "samples" / name / "result.json")
    assert [path.parent.name for path in results_in(tmp_path)] == ["001-kvm"]


def test_where_things_lay_on_the_host_is_not_kept(tmp_path: Path) -> None:
    run = samples.passed_run()
    steps = tuple(replace(s, detail="/home/me/out/report.html") if s.name == "report" else s for s in run.steps)
    run = replace(run, steps=steps, plan=replace(run.plan, path="/home/me/vps/plan.yml"))
    history = History(tmp_path / "history")
    add_result(history, output_folder(tmp_path / "out", run), {})
    text = next((tmp_path / "history/runs").rglob("*.json")).read_text()
    assert "/home/me" not in text
    assert '"vps/plan.yml"' in text
    assert '"report.html"' in text


def test_a_file_of_a_guest_is_no_run(tmp_path: Path) -> None:
    red = replace(samples.failed_check_run(), id="red")
    forged = replace(samples.passed_run(), id="forged")
    output_folder(tmp_path / "runs/red", red)
    output_folder(tmp_path / "runs/red/artifacts/srv", forged)
    (tmp_path / "runs/red/artifacts/result.json").write_text('{"score": 1}')
    (tmp_path / "runs/killed").mkdir()
    (tmp_path / "runs/killed/events.jsonl").write_text("")
    output_folder(tmp_path / "runs/killed/artifacts", forged)
    assert results_in(tmp_path / "runs") == (tmp_path / "runs/red/result.json",)


def test_a_folder_without_results_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"there is no result\.json"):
        results_in(tmp_path)


def test_adding_says_when_it_was_added(tmp_path: Path) -> None:
    path = output_folder(tmp_path / "out", samples.passed_run())
    history = History(tmp_path / "history")
    add_result(history, path, {}, datetime(2026, 5, 1, tzinfo=UTC))
    assert next(document for _, document in history.documents())["added_at"] == "2026-05-01T00:00:00+00:00"
