"""What GitHub reads: no text of a stranger becomes a command or an output of its own; nothing is too long."""

import io
import json
from pathlib import Path

import pytest
from samples import HOSTILE

from kvm_action.errors import HostError
from kvm_action.workflow.commands import (
    MESSAGE_LIMIT,
    Annotation,
    Level,
    annotation_command,
    command,
    harmless,
    mask_commands,
    shown,
)
from kvm_action.workflow.files import SUMMARY_LIMIT, output, write_outputs, write_summary
from kvm_action.workflow.job import Job, legal_name
from kvm_action.workflow.stream import JobLog

NASTY = (
    "::error::x",
    "  ::warning file=a::x",
    "\t::set-output name=a::b",
    "##[error]x",
    "say ##[group]x",
    "a\r::error::x",
    "\u2003::stop-commands::x",
)


def obeyed(text: str) -> list[str]:
    """The lines that the runner takes for commands: ActionCommand.cs trims, then looks for ``::`` or ``##[``."""
    lines = text.replace("\r", "\n").split("\n")
    return [line for line in lines if line.strip().startswith("::") or "##[" in line]


@pytest.mark.parametrize("text", NASTY)
def test_text_in_a_log_is_never_a_command(text: str) -> None:
    assert obeyed(text), "the sample is harmless"
    stream = io.StringIO()
    log = JobLog(stream)
    log.write(text + "\n")
    assert not obeyed(stream.getvalue())
    assert "error" in text or "x" in stream.getvalue() or "b" in stream.getvalue()


def test_a_command_written_in_pieces_is_none_either() -> None:
    stream = io.StringIO()
    log = JobLog(stream)
    for piece in (":", ":err", "or::", "owned", "\n"):
        log.write(piece)
        log.flush()
    assert not obeyed(stream.getvalue())


def test_our_commands_begin_a_line_of_their_own() -> None:
    stream = io.StringIO()
    log = JobLog(stream)
    log.write("half a line")
    log.obey(command("group", "step ssh"))
    log.write("rest")
    log.end_line()
    assert stream.getvalue() == "half a line\n::group::step ssh\nrest\n"


def test_a_log_that_cannot_show_a_character_shows_a_question_mark() -> None:
    class Ascii(io.StringIO):
        encoding = "ascii"

    stream = Ascii()
    JobLog(stream).write("✓ caf\u00e9\n")
    assert stream.getvalue() == "? caf?\n"


@pytest.mark.parametrize("text", [*NASTY, HOSTILE, "a\nb\r\nc%0Ad", "100%", "a,b:c=d"])
def test_a_value_stays_inside_its_command(text: str) -> None:
    annotation = Annotation(level=Level.ERROR, title=text, message=text, path=text.replace("\0", ""), line=3)
    line = annotation_command(annotation)
    assert "\n" not in line
    assert "\r" not in line
    assert "\x1b" not in line
    head, _, _ = line.removeprefix("::").partition("::")
    assert head.startswith("error ")
    properties = dict(pair.split("=", 1) for pair in head.removeprefix("error ").split(","))
    assert set(properties) == {"file", "line", "title"}


def test_a_message_that_is_too_long_is_cut_and_says_so() -> None:
    line = annotation_command(Annotation(level=Level.ERROR, title="t" * 1000, message="m" * 10_000))
    message = line.rpartition("::")[2]
    assert len(message) == MESSAGE_LIMIT
    assert message.endswith("…")


def test_what_github_would_drop_is_counted_instead() -> None:
    def many(level: Level, count: int) -> tuple[Annotation, ...]:
        return tuple(Annotation(level=level, title=f"{level} {at}", message="") for at in range(count))

    kept = shown((*many(Level.WARNING, 10), *many(Level.ERROR, 25)))
    titles = [one.title for one in kept]
    assert titles[:9] == [f"error {at}" for at in range(9)]
    assert titles[9] == "16 more"
    assert titles[10:] == [f"warning {at}" for at in range(10)]


def test_each_line_of_a_secret_is_hidden_and_short_ones_are_left() -> None:
    assert mask_commands("hunter2\nsecond%line\nabc") == (
        "::add-mask::hunter2%0Asecond%25line%0Aabc",
        "::add-mask::hunter2",
        "::add-mask::second%25line",
    )
    assert mask_commands("yes") == ()


@pytest.mark.parametrize(
    "value", ["a\nb", "x<<EOF\ny\nEOF", "kvm-e2e-\n", "\n", "", HOSTILE.replace("\ud800", "")]
)
def test_an_output_is_what_was_written_and_nothing_else(tmp_path: Path, value: str) -> None:
    path = tmp_path / "output"
    write_outputs(path, {"first": value, "second": "2"})
    assert parsed(path.read_bytes().decode()) == {"first": value, "second": "2"}


def parsed(text: str) -> dict[str, str]:
    """As FileCommandManager.cs reads it."""
    found, lines = {}, iter(text.split("\n"))
    for line in lines:
        if not line:
            continue
        name, delimiter = line.split("<<", 1)
        value = []
        while (inner := next(lines)) != delimiter:
            value.append(inner)
        found[name] = "\n".join(value)
    return found


def test_two_outputs_never_share_a_delimiter() -> None:
    assert output("a", "b") != output("a", "b")


def test_a_summary_never_grows_beyond_what_github_takes(tmp_path: Path) -> None:
    path = tmp_path / "summary"
    write_summary(path, "ä" * 400_000)
    write_summary(path, "ö" * 400_000)
    write_summary(path, "lost")
    assert SUMMARY_LIMIT - 1 <= path.stat().st_size <= SUMMARY_LIMIT
    assert "\ufffd" not in path.read_text()


def test_a_file_that_cannot_be_written_is_an_error_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="Is a directory"):
        write_summary(tmp_path, "x")


@pytest.mark.parametrize(
    ("event", "sha"),
    [
        ({"pull_request": {"head": {"sha": "b" * 40}}}, "b" * 40),
        ({"workflow_run": {"head_sha": "c" * 40}}, "c" * 40),
        ({"pull_request": {"head": None}}, "a" * 40),
        ({"pull_request": "x"}, "a" * 40),
        ([], "a" * 40),
    ],
)
def test_a_check_run_belongs_to_the_commit_that_was_pushed(tmp_path: Path, event: object, sha: str) -> None:
    path = tmp_path / "event.json"
    path.write_text(json.dumps(event))
    assert Job.from_environ({"GITHUB_SHA": "a" * 40, "GITHUB_EVENT_PATH": str(path)}).sha == sha


def test_an_enterprise_server_has_addresses_of_its_own() -> None:
    environ = {
        "GITHUB_API_URL": "https://git.example.org/api/v3",
        "GITHUB_SERVER_URL": "https://git.example.org",
        "GITHUB_REPOSITORY": "org/app",
        "GITHUB_RUN_ID": "7",
    }
    job = Job.from_environ(environ)
    assert job.api == "https://git.example.org/api/v3"
    assert job.url == "https://git.example.org/org/app/actions/runs/7"


@pytest.mark.parametrize("text", [HOSTILE, "a/b\\c:d", "../../x", "", ".hidden", "x" * 500])
def test_names_of_artifacts_are_legal(text: str) -> None:
    name = legal_name(text)
    assert 0 < len(name) <= 100
    assert not set(name) & set('":<>|*?\\/\r\n\0')
    assert not name.startswith(".")


def test_harmless_leaves_ordinary_lines_as_they_are() -> None:
    for line in ("12:03:04 step ssh ... passed 1.9 s", "a :: b", "[2001:db8::1]:22", "C++ std::string"):
        assert harmless(line) == line
