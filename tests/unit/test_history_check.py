"""What the history says of the newest runs: found when it is there, silent when it is not."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

import histories
import pytest
import samples
from click.testing import CliRunner

from kvm_action.cli import main
from kvm_action.cli.history import command
from kvm_action.errors import ExitCode
from kvm_action.history.changes import since_green
from kvm_action.history.record import Record
from kvm_action.history.regressions import Finding, Trend, findings
from kvm_action.history.store import PACKAGES, History
from kvm_action.history.verdicts import check_histories, standings
from kvm_action.results import CheckOutcome, RunResult

USUAL = [100.0, 101.0, 99.5, 100.2, 98.9, 100.7, 101.3, 99.1]


def records(folder: Path, *results: RunResult) -> tuple[Record, ...]:
    return histories.keep(folder, *results).read().records


def found(folder: Path, *seconds: float) -> tuple[Finding, ...]:
    return findings(records(folder, *histories.series(*seconds)))


def test_a_step_up_that_a_second_run_confirms_is_a_regression(tmp_path: Path) -> None:
    (finding,) = [one for one in found(tmp_path, *USUAL, 118.0, 119.0) if one.metric.name == "total"]
    assert (finding.trend, finding.is_confirmed) == (Trend.REGRESSION, True)
    assert finding.change == pytest.approx(0.19, abs=0.01)
    assert finding.base.seconds == USUAL[-1]


def test_one_slow_run_is_a_suspicion_and_one_slow_run_long_ago_is_nothing(tmp_path: Path) -> None:
    (suspicion,) = found(tmp_path / "a", *USUAL, 130.0)
    assert not suspicion.is_confirmed
    assert suspicion.base.seconds == USUAL[-1]
    assert found(tmp_path / "b", 100.0, 300.0, *USUAL) == ()


def test_a_slow_run_after_a_quick_one_confirms_nothing(tmp_path: Path) -> None:
    (suspicion,) = found(tmp_path, *USUAL, 70.0, 130.0)
    assert not suspicion.is_confirmed


def test_a_step_down_is_an_improvement(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, *USUAL, 80.0, 81.0)
    assert (finding.trend, finding.is_confirmed) == (Trend.IMPROVEMENT, True)


def test_identical_runs_do_not_make_every_difference_a_finding(tmp_path: Path) -> None:
    assert found(tmp_path / "a", *[100.0] * 10, 104.0, 104.0) == ()
    assert found(tmp_path / "b", *[1.0] * 10, 1.3, 1.3) == (), "0.3 s are nobody's concern"


@pytest.mark.parametrize("seconds", [[], [1.0], [1.0, 50.0], [1.0, 1.0, 1.0, 50.0, 50.0]])
def test_few_runs_say_nothing(seconds: list[float], tmp_path: Path) -> None:
    assert found(tmp_path, *seconds) == ()


@pytest.mark.parametrize("runs", [7, 10, 22])
def test_series_that_do_not_change_raise_confirmed_alarms_in_less_than_one_percent(
    runs: int, tmp_path: Path
) -> None:
    (one,), random, alarms = records(tmp_path, *histories.series(100.0)), Random(1), 0
    for spread in (1, 5, 10, 20):
        noisy = [[replace(one, seconds=random.gauss(100, spread)) for _ in range(runs)] for _ in range(400)]
        alarms += sum(any(finding.is_confirmed for finding in findings(series)) for series in noisy)
    assert alarms < 16


def test_another_host_is_another_series(tmp_path: Path) -> None:
    slow = replace(samples.passed_run(), host=replace(samples.passed_run().host, fingerprint="other"))
    here = histories.series(*USUAL)
    there = [replace(run, id=f"there-{run.id}") for run in histories.series(300, 301, base=slow)]
    assert findings(records(tmp_path, *here, *there)) == ()


@pytest.mark.parametrize("slow", [2, 3, 5])
def test_a_regression_is_compared_with_the_last_run_that_was_as_usual(tmp_path: Path, slow: int) -> None:
    (finding,) = [one for one in found(tmp_path, *USUAL, *[118.0] * slow) if one.metric.name == "total"]
    assert finding.base.seconds == USUAL[-1]


def test_a_series_that_ended_with_a_kernel_is_not_held_against_the_next_one(tmp_path: Path) -> None:
    upgraded = replace(samples.passed_run(), host=replace(samples.passed_run().host, fingerprint="newer kernel"))
    old = histories.series(*USUAL, 118.0, 119.0)
    new = [replace(run, id=f"new-{run.id}", started_at=run.started_at + timedelta(days=60))
           for run in histories.series(*USUAL, *USUAL, base=upgraded)]  # fmt: skip
    assert findings(records(tmp_path / "a", *old)) != ()
    assert findings(records(tmp_path / "b", *old, *new)) == ()


def test_runners_that_are_updated_one_after_another_do_not_hide_each_others_regressions(tmp_path: Path) -> None:
    other = replace(samples.passed_run(), host=replace(samples.passed_run().host, fingerprint="newer kernel"))
    slow = histories.series(*USUAL, 118.0, 119.0)
    last = replace(histories.run_at(40, 100.0, base=other), id="other")
    assert findings(records(tmp_path, *slow, last)) != ()


@pytest.mark.parametrize(("images", "since", "left"), [(1, 2, False), (1, 7, True), (10, 20, False)])
def test_an_image_that_a_plan_left_says_nothing_any_more(
    tmp_path: Path, images: int, since: int, left: bool
) -> None:
    red = histories.run_at(0, 1.0, base=samples.failed_check_run())
    green = [histories.run_at(number + 1, 1.0) for number in range(since)]
    runs = [replace(run, image=replace(run.image, name=f"new-{at % images}")) for at, run in enumerate(green)]
    found = standings(records(tmp_path, replace(red, image=replace(red.image, name="old")), *runs))
    assert ("old" not in {one.image for one in found}) is left
    assert len(found) == images + (not left)


def test_a_plan_stands_on_each_image_by_itself(tmp_path: Path) -> None:
    def on(image: str, number: int, base: RunResult) -> RunResult:
        run = histories.run_at(number, 1.0, base=base)
        return replace(run, id=f"{image}-{number}", image=replace(run.image, name=image))

    runs = [
        run
        for number in range(0, 6, 2)
        for run in (
            on("debian-12", number, samples.failed_check_run()),
            on("debian-13", number + 1, samples.passed_run()),
        )
    ]
    found = standings(records(tmp_path, *runs))
    assert [(one.image, one.is_green, one.runs) for one in found] == [
        ("debian-12", False, 3),
        ("debian-13", True, 3),
    ]
    without = replace(histories.run_at(9, 1.0, base=samples.plan_error_run()), image=None)
    found = standings(records(tmp_path / "more", *runs, replace(without, plan=runs[0].plan, backend="kvm")))
    assert [one.is_green for one in found] == [False, False], "a run that never got an image speaks for all"


def test_runs_that_broke_are_not_measured(tmp_path: Path) -> None:
    quick = histories.series(*USUAL, 3.0, 3.0)
    broken = [
        replace(samples.failed_check_run(), id=r.id, started_at=r.started_at, seconds=3.0) for r in quick[-2:]
    ]
    assert findings(records(tmp_path, *quick[:-2], *broken)) == ()


def test_a_plan_is_green_or_broken_since_its_first_run_that_was_so(tmp_path: Path) -> None:
    runs = [histories.run_at(n, 1.0) for n in range(3)]
    bad = [histories.run_at(n, 1.0, base=samples.failed_provision_run()) for n in (3, 4)]
    stopped = histories.run_at(5, 1.0, base=samples.interrupted_run())
    (standing,) = standings(records(tmp_path, *runs, *bad, stopped))
    assert not standing.is_green
    assert standing.since == bad[0].started_at
    assert (standing.streak, standing.runs, standing.green) == (2, 5, 3)


def test_what_changed_since_the_last_green_run_is_named(tmp_path: Path) -> None:
    history = History(tmp_path)
    green, failed = histories.run_at(1, 1.0), histories.run_at(2, 1.0, base=samples.failed_provision_run())
    assert failed.guest is not None
    assert failed.image is not None
    failed = replace(
        failed,
        plan=replace(failed.plan, script_digest="bb" * 32),
        image=replace(failed.image, sha256="99" * 32),
        guest=replace(failed.guest, kernel="6.13"),
    )
    green = replace(green, plan=replace(green.plan, script_digest="aa" * 32))
    kept = [
        history.keep(PACKAGES, text, "") for text in (b"apt 2.6\ncurl 8\nvim 9\n", b"apt 2.7\ncurl 8\nnano 7\n")
    ]
    for run, packages in ((green, kept[0]), (failed, kept[1])):
        history.add(histories.entry(run, packages=packages))
    both = history.read().records
    told = since_green(history, both[-1], both)
    assert told.green == both[0]
    assert [(one.what, one.before, one.after) for one in told.differences] == [
        ("script", "aa" * 6, "bb" * 6),
        ("image", f"debian-13 {'5b7e' * 3}", f"debian-13 {'99' * 6}"),
        ("guest kernel", "6.12.48+deb13-cloud-amd64", "6.13"),
        ("package apt", "2.6", "2.7"),
        ("package nano", "", "7"),
        ("package vim", "9", ""),
    ]
    assert told.unknown == ()


def test_two_checks_that_are_called_the_same_are_two_and_not_flaky(tmp_path: Path) -> None:
    def run(number: int) -> RunResult:
        made = histories.run_at(number, 1.0, base=samples.passed_run())
        held = samples.checks()[0]
        both = (held, replace(held, outcome=CheckOutcome.FAILED))
        return replace(made, plan=replace(made.plan, script_digest="a"), checks=both)

    seen = check_histories(records(tmp_path, run(0), run(1)))
    assert sorted((one.name, one.bad, one.runs, one.is_flaky) for one in seen) == [
        (samples.checks()[0].name, 0, 2, False),
        (f"{samples.checks()[0].name} (2)", 2, 2, False),
    ]


def test_a_check_that_holds_now_and_then_with_nothing_changed_is_flaky(tmp_path: Path) -> None:
    def run(number: int, base: RunResult, script: str) -> RunResult:
        made = histories.run_at(number, 1.0, base=base)
        return replace(made, plan=replace(made.plan, script_digest=script))

    same = [
        run(0, samples.passed_run(), "a"),
        run(1, samples.failed_check_run(), "a"),
        run(2, samples.passed_run(), "a"),
    ]
    flaky = [one.name for one in check_histories(records(tmp_path / "a", *same)) if one.is_flaky]
    assert flaky == ["http http://127.0.0.1:8080/", "port 3389", "service xrdp"]
    mended = [run(0, samples.failed_check_run(), "a"), run(1, samples.passed_run(), "b")]
    seen = check_histories(records(tmp_path / "b", *mended))
    assert not [one for one in seen if one.is_flaky]
    assert (seen[0].bad, seen[0].runs) == (1, 2)


def test_check_exits_1_on_a_confirmed_regression_only_when_asked(tmp_path: Path) -> None:
    histories.keep(tmp_path, *histories.series(*USUAL, 118.0, 119.0))
    runner = CliRunner()
    told = runner.invoke(command, ["check", "--in", str(tmp_path)], standalone_mode=False)
    assert told.return_value == 0
    assert "regression: Total of vps, debian-13, kvm (kvm, boot): 1 min 59 s, 19% more than usual" in told.output
    assert "vps on kvm, debian-13: green since 2026-01-05 08:00 (10 runs)" in told.output
    asked = runner.invoke(command, ["check", "--in", str(tmp_path), "--fail-on-regression"], standalone_mode=False)
    assert asked.return_value == 1
    document = json.loads(runner.invoke(command, ["check", "--in", str(tmp_path), "--json"]).stdout)
    assert document["findings"][0]["is_confirmed"] is True


def test_add_goes_on_after_a_bad_result_and_its_exit_code_says_so(tmp_path: Path) -> None:
    from kvm_action import result_file

    good, bad = tmp_path / "out/good/result.json", tmp_path / "out/bad/result.json"
    for path in (good, bad):
        path.parent.mkdir(parents=True)
    result_file.write(samples.passed_run(), good)
    bad.write_text("{")
    told = CliRunner().invoke(
        command, ["add", str(tmp_path / "out"), "--to", str(tmp_path / "h")], standalone_mode=False
    )
    assert told.return_value == 2
    assert "is not JSON" in told.stderr
    assert "added: " in told.stdout
    listed = CliRunner().invoke(command, ["list", "--in", str(tmp_path / "h")]).stdout
    assert "2026-03-14 12:02  passed   vps   kvm kvm  debian-13  3 min 51 s  20260314-120231-3f9a1c" in listed


def test_hostile_text_reaches_no_terminal(tmp_path: Path) -> None:
    run = replace(samples.hostile_run(), started_at=samples.STARTED + timedelta(days=1))
    histories.keep(tmp_path, samples.passed_run(), run)
    for arguments in (["check"], ["list"]):
        shown = CliRunner().invoke(command, [*arguments, "--in", str(tmp_path)]).output
        assert not set(shown) & {"\x1b", "\x00", "\x07", "\u202e"}


@pytest.mark.parametrize("words", [["check", "--fail-on-regression"], ["check"], ["list"]])
def test_a_history_that_is_named_and_not_there_is_no_history_without_regressions(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["history", *words, "--in", str(tmp_path / "hisotry")]) == ExitCode.USAGE
    assert f"there is no history {tmp_path}/hisotry" in capsys.readouterr().err


def test_the_usual_history_need_not_be_there_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["history", "check", "--fail-on-regression"]) == ExitCode.PASSED


def test_a_history_of_which_nothing_can_be_read_is_said_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history = histories.keep(tmp_path, *histories.series(100.0))
    for path in history.folder.glob("runs/*/*/*.json"):
        path.write_text("{")
    for words in (["history", "check", "--fail-on-regression"], ["site", "build", "--to", str(tmp_path / "site")]):
        assert main([*words, "--in", str(tmp_path)]) == ExitCode.USAGE
        assert "no file of the history could be read" in capsys.readouterr().err


def test_no_site_is_made_of_a_history_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["site", "build", "--in", str(tmp_path / "none"), "--to", str(tmp_path / "site")]
    assert main(words) == ExitCode.USAGE
    assert "there is no history" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()


def test_a_plan_without_runs_is_met_with_those_that_have_some(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    histories.keep(tmp_path, *histories.series(100.0))
    assert main(["history", "list", "--in", str(tmp_path), "--plan", "nosuch"]) == ExitCode.USAGE
    assert "no runs of the plan nosuch; there are: vps" in capsys.readouterr().err
