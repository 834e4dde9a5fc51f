"""What a person sees of a run: sane, narrow, honest, and never in the way of the run."""

import io
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Event as Event_
from threading import Thread

import pytest
import samples
from rich.console import Console
from samples import HOSTILE

from kvm_action.cli.terminal import terminal_sink
from kvm_action.cli.terminal.lines import MOST_OUTPUT_LINES, PlainLines
from kvm_action.cli.terminal.live import LiveTerminal
from kvm_action.events import (
    CheckFinished,
    Event,
    MilestoneReached,
    Note,
    OutputLine,
    RunFinished,
    RunStarted,
    Sink,
    StepFinished,
    StepStarted,
    Stream,
)
from kvm_action.results import RunResult, StepName, StepOutcome

AT = datetime(2026, 3, 14, 12, 3, 4, tzinfo=UTC)


@pytest.fixture(autouse=True)
def capable_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the terminal can do is these tests' business, not that of the one they are run from."""
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


def story(run: RunResult) -> Iterator[Event]:
    yield RunStarted(id=run.id, plan=run.plan.name, backend=run.backend, out="out", at=AT, steps=tuple(StepName))
    for step in run.steps:
        if step.outcome is not StepOutcome.SKIPPED:
            yield StepStarted(name=step.name, at=step.started_at)
        if step.name is StepName.NETWORK:
            yield MilestoneReached(name="port_open", seconds=6.2)
            yield Note(text="no KVM here, so this is slow", warning=True)
        if step.name is StepName.PROVISION:
            yield from (output(line) for line in run.script_tail)
        if step.name is StepName.VALIDATE:
            yield from (CheckFinished(result=check) for check in run.checks)
        yield StepFinished(result=step)
    yield RunFinished(result=run, out="out")


def output(text: str) -> OutputLine:
    return OutputLine(step=StepName.PROVISION, stream=Stream.STDOUT, text=text)


def told_plainly(*events: Event) -> str:
    stream = io.StringIO()
    lines = PlainLines(stream, now=lambda: AT)
    for event in events:
        lines(event)
    return stream.getvalue()


def told_live(*events: Event, width: int = 80) -> str:
    stream = io.StringIO()
    with terminal_sink(stream, is_terminal=True, width=width) as sink:
        for event in events:
            sink(event)
    return stream.getvalue()


def without_escapes(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_a_log_has_a_time_on_each_line_and_the_scripts_lines_behind_a_bar() -> None:
    told = told_plainly(*story(samples.failed_provision_run()))
    assert "12:03:04 step ssh ... passed 1.9 s (host key verified, cloud-init done)\n" in told
    assert "12:03:04   boot: port open after 6.2 s\n" in told
    assert "  | gpg: no valid OpenPGP data found.\n" in told
    assert told.endswith("report: out/report.html\n")


@pytest.mark.parametrize("tell", [told_plainly, told_live])
def test_the_last_words_say_what_broke_where_and_what_to_do(tell: object) -> None:
    assert callable(tell)
    told = without_escapes(tell(*story(samples.stuck_boot_run())))
    last = told[told.rindex("Error in network") :]
    for words in ("kernel panicked", "The machine.", "not to blame", "image inspect", "out/report.html"):
        assert words in re.sub(r"\s+", " ", last)


def test_a_log_holds_no_escape_and_no_command_of_its_reader() -> None:
    told = told_plainly(
        *story(samples.hostile_run()), output("::error::x"), output("##[error]x"), output("\x1b]0;t\x07a\x1b[2J")
    )
    assert "\x1b" not in told
    assert "##[" not in told
    assert not [line for line in told.splitlines() if line.lstrip().startswith("::")]


def test_hostile_output_cannot_touch_the_terminal() -> None:
    told = told_live(output("\x1b[2J\x1b]0;title\x07\x1b]52;c;aGk=\x07evil"), output(HOSTILE))
    for escape in ("\x1b[2J", "\x1b]", "\x07", "\u202e"):
        assert escape not in told
    assert "evil" in told


def test_markup_in_output_is_only_text() -> None:
    assert "[bold]x[/bold] [link=http://e]" in told_live(output("[bold]x[/bold] [link=http://e] :smile:"))


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    told = without_escapes(told_live(*story(samples.failed_check_run()), width=width))
    lines = re.split(r"[\r\n]+", told)
    assert max(len(line) for line in lines if "report.html" not in line) <= width


def test_the_path_of_the_report_can_be_copied_from_a_narrow_terminal() -> None:
    run = samples.passed_run()
    told = without_escapes(told_live(RunFinished(result=run, out="kvm-e2e-results/" + "x" * 60), width=40))
    assert f"kvm-e2e-results/{'x' * 60}/report.html" in told


def test_each_step_has_a_line_with_how_it_ended_and_its_time() -> None:
    told = without_escapes(told_live(*story(samples.failed_provision_run()), width=100))
    assert re.search(r"✓ copy +0.64 s +112 files", told)
    assert re.search(r"✗ provision +41.3 s +exit 3", told)
    assert re.search(r"– validate, idempotence, snapshot +skipped +the script failed", told)


@pytest.mark.parametrize("tell", [told_plainly, told_live])
def test_steps_that_one_failure_skips_take_one_line(tell: object) -> None:
    assert callable(tell)
    lines = without_escapes(tell(*story(samples.stuck_boot_run()))).splitlines()
    [told] = [line for line in lines if "skipped" in line]
    assert re.search(r"ssh, copy, provision, validate, snapshot .*skipped", told)
    assert told.count("snapshot") == 1


@pytest.mark.parametrize("tell", [told_plainly, told_live])
def test_checks_stand_below_their_section_which_is_told_once(tell: object) -> None:
    assert callable(tell)
    told = without_escapes(tell(*story(samples.sectioned_run())))
    during, _, last = told.rpartition("Failed in validate")
    assert during.count("System packages") == 1
    assert during.index("System packages") < during.index("package xfce4") < during.index("package geany")
    assert during.index("package geany") < during.index("RDP server") < during.index("service xrdp")
    assert "RDP server: 2 failed; IDE installations: 1 not carried out, 2 passed" in re.sub(r"\s+", " ", last)


def test_no_color_means_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    told = told_live(*story(samples.failed_check_run()))
    codes = {code for found in re.findall(r"\x1b\[([\d;]+)m", told) for code in found.split(";")}
    assert codes <= {"0", "1", "2"}  # reset, bold, dim


def test_a_terminal_that_can_do_nothing_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in told_live(*story(samples.passed_run()))


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_whatever_ends_the_run_the_cursor_comes_back(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = io.StringIO()
    with pytest.raises(error), terminal_sink(stream, is_terminal=True, width=60) as sink:
        sink(StepStarted(name=StepName.PROVISION, at=AT))
        sink(output("last line before the end"))
        raise error
    assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().rindex("\x1b[?25l")
    assert "last line before the end" in stream.getvalue()


def test_a_flood_is_counted_in_a_log_and_on_a_terminal() -> None:
    flood = [output(f"line {at}") for at in range(MOST_OUTPUT_LINES + 100)]
    plainly, live = told_plainly(*flood), told_live(*flood)
    assert plainly.count("\n") == MOST_OUTPUT_LINES + 1
    assert "more lines, in provision.log" in live
    assert f"line {MOST_OUTPUT_LINES + 99}" in live


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_run_goes_on_when_its_reader_goes_away(is_terminal: bool) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = open(writing, "w")  # noqa: PTH123, SIM115 - a descriptor, not a path
    with stream, terminal_sink(stream, is_terminal=is_terminal, width=60) as sink:
        tell_all(sink)


def tell_all(sink: Sink) -> None:
    for event in story(samples.failed_check_run()):
        sink(event)


def test_a_log_in_ascii_loses_letters_and_not_the_run() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    with terminal_sink(stream, is_terminal=False) as sink:
        tell_all(sink)
    stream.flush()
    assert b"? '/usr/lib/systemd/system/xrdp.service'" in raw.getvalue()


def test_drawing_never_waits_for_a_thread_that_prints() -> None:
    terminal = LiveTerminal(Console(file=io.StringIO(), force_terminal=True, width=80))
    drawn = Event_()
    with terminal._lock:  # as a thread that prints holds it
        Thread(target=lambda: (list(terminal.__rich_console__(None, None)), drawn.set()), daemon=True).start()
        assert drawn.wait(10), "rich's drawing thread and a printing thread would wait for each other for ever"
