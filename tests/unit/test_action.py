"""The action between GitHub and a run: inputs read, mistakes told at their place, names legal."""

import errno
import io
import json
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
import samples
from samples import HOSTILE
from test_workflow import obeyed, parsed

from kvm_action.action import inputs as inputs_module
from kvm_action.action.artifact import artifact_name, link_text, pack, stage
from kvm_action.action.door import run_action
from kvm_action.action.inputs import VARIABLE, CheckRunWish, Upload, read_inputs, take_texts
from kvm_action.action.log import GroupedLog
from kvm_action.action.outputs import NAMES, OF_UPLOAD, outputs_of
from kvm_action.action.telling import Telling
from kvm_action.cli.terminal.lines import PlainLines
from kvm_action.errors import ExitCode, HostError, PlanError
from kvm_action.events import CheckFinished, Note, OutputLine, RunFinished, StepFinished, StepStarted, Stream
from kvm_action.plan.load import load_plan
from kvm_action.plan.model import Accel, Keep
from kvm_action.publish.errors import PublishError
from kvm_action.publish.live import Published
from kvm_action.report.annotations import Checkout, annotations, script_lines
from kvm_action.results import StepName
from kvm_action.workflow.commands import Level
from kvm_action.workflow.job import Job
from kvm_action.workflow.stream import JobLog

PLAN = "provision: {run: 'true'}\n"


# --- inputs


def test_inputs_become_values() -> None:
    read = read_inputs(
        {
            "plan": "e2e/plan.yml",
            "accel": "KVM",
            "keep": "on-failure",
            "memory": "8GiB",
            "cpus": "4",
            "set": "provision.timeout=1h\n\n  machine.disk=40GiB  \n",
            "timeout": "45m",
            "upload": "report,snapshots",
            "check-run": "false",
            "summary": "false",
            "retention-days": "7",
        }
    )
    assert (read.plan, read.accel, read.keep) == (Path("e2e/plan.yml"), Accel.KVM, Keep.ON_FAILURE)
    assert read.overrides == (
        "machine.memory=8GiB",
        "machine.cpus=4",
        "provision.timeout=1h",
        "machine.disk=40GiB",
    )
    assert read.timeout
    assert read.timeout.total_seconds() == 45 * 60
    assert read.upload == {Upload.REPORT, Upload.SNAPSHOTS}
    assert (read.check_run, read.summary, read.retention_days) == (CheckRunWish.FALSE, False, 7)


def test_every_input_has_a_default() -> None:
    assert read_inputs({}) == read_inputs(dict.fromkeys(inputs_module.NAMES, ""))


def test_the_reader_reads_the_inputs_it_names_and_no_others() -> None:
    class Spy(dict):
        def get(self, name, default=None):
            self.setdefault("asked", set()).add(name)
            return default

    spy = Spy()
    read_inputs(spy)
    assert spy["asked"] == set(inputs_module.NAMES)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(PlanError) as caught:
        read_inputs(
            {
                "accel": "fast",
                "keep": "allways",
                "timeout": "soon",
                "retention-days": "-1",
                "working-directory": "nowhere",
                "upload": "report, nothing",
                "history-branch": "a..b",
                "memory": "8",
                "cpus": "two",
                "set": "provision.env.TOKEN hunter22",
            }
        )
    message = caught.value.message
    assert message.startswith("10 inputs of the action are wrong")
    assert 'memory: expected a size from 128MiB to 4TiB, such as 4GiB, found the text "8"' in message
    assert "cpus: expected a whole number from 1 to 288, found two" in message
    assert "set: expected KEY=VALUE" in message
    assert "hunter22" not in message
    assert "accel: expected auto, kvm or tcg, found 'fast'" in message
    assert "did you mean always?" in message


def test_the_token_is_taken_out_of_the_environment_and_never_shown() -> None:
    environ = {VARIABLE: json.dumps({"github-token": "ghs_secret", "plan": None}), "HOME": "/"}
    read = read_inputs(take_texts(environ))
    assert environ == {"HOME": "/"}
    assert "ghs_secret" not in repr(read)
    assert read.token == "ghs_secret"


@pytest.mark.parametrize("value", ["0123456789", "true", "null", "1e10", " a  ", "'a'", "{a", "a=b"])
def test_a_token_is_set_as_it_stands(tmp_path: Path, value: str) -> None:
    (tmp_path / "plan.yml").write_text(PLAN)
    read = read_inputs({"set": f"\n  provision.env.TOKEN={value}\r\nuser.password={value}\n"})
    plan = load_plan(tmp_path / "plan.yml", read.overrides).plan
    assert plan.provision.env["TOKEN"].get_secret_value() == value
    assert plan.user.password
    assert plan.user.password.get_secret_value() == value


# --- the log


def log_of(*events) -> str:
    stream = io.StringIO()
    log = JobLog(stream)
    told = GroupedLog(log, PlainLines(log))
    for event in events:
        told(event)
    told.close()
    log.end_line()
    return stream.getvalue()


def test_each_step_is_a_group_and_its_end_is_seen_without_opening_it() -> None:
    step = samples.passed_run().steps[0]
    text = log_of(
        StepStarted(name=step.name, at=step.started_at),
        Note(text="inside"),
        StepFinished(result=step),
    )
    lines = text.splitlines()
    assert lines[0] == "::group::step prerequisites"
    assert lines[1].endswith("note: inside")
    assert lines[2] == "::endgroup::"
    assert "step prerequisites ... passed" in lines[3]


def test_nothing_that_a_guest_says_is_obeyed() -> None:
    nasty = ("::error::x", "  ::group::x", "a\n::error::x", "##[error]x", HOSTILE, "x\r::add-mask::e")
    run = samples.hostile_run()
    events = [
        *(OutputLine(step=StepName.PROVISION, stream=Stream.STDOUT, text=text) for text in nasty),
        *(Note(text=text, warning=True) for text in nasty),
        *(StepFinished(result=replace(run.steps[0], detail=text)) for text in nasty),
        *(CheckFinished(result=replace(run.checks[0], name=text, message=text)) for text in nasty),
        RunFinished(result=run, out="::error::out"),
    ]
    assert not obeyed(log_of(*events))


# --- annotations


def checkout(folder: Path) -> Checkout:
    return Checkout(folder, folder)


def test_a_failed_check_points_at_its_line_of_the_plan(tmp_path: Path) -> None:
    (tmp_path / "plan.yml").write_text(PLAN)
    run = samples.failed_check_run()
    checks = tuple(replace(check, line=10 + at) for at, check in enumerate(run.checks))
    run = replace(run, plan=replace(run.plan, path="plan.yml"), checks=checks)
    found = annotations(run, checkout(tmp_path))
    assert found[0].title == "vps: failed in validate"
    assert [(one.path, one.line) for one in found[1:4]] == [("plan.yml", 13), ("plan.yml", 14), ("plan.yml", 17)]
    assert found[1].title == "failed: service xrdp"
    assert "expected: running, enabled" in found[1].message
    assert [one.level for one in found[4:]] == [Level.WARNING, Level.WARNING], "what a second run changed"


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ("./install.sh: line 4: nope: command not found", ("app/install.sh", 4)),
        ("/opt/app/lib/tool.sh: line 2: x: unbound variable", ("app/lib/tool.sh", 2)),
        ("install.sh: 3: nope: not found", ("app/install.sh", 3)),
        ('  File "/opt/app/setup.py", line 1, in <module>', ("app/setup.py", 1)),
        ("install.sh: line 400: beyond the end", ("", 0)),
        ("../../../etc/passwd: line 1: x", ("", 0)),
        ("elsewhere.sh: line 1: x", ("", 0)),
        ("::error::x: line 1: x", ("", 0)),
    ],
)
def test_a_failed_script_points_at_its_line_only_if_that_is_known(
    tmp_path: Path, words: str, place: tuple[str, int]
) -> None:
    for name in ("install.sh", "lib/tool.sh", "setup.py", "plan.yml"):
        file = tmp_path / "app" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("1\n2\n3\n4\n")
    run = samples.failed_provision_run()
    assert run.failure
    run = replace(
        run,
        plan=replace(run.plan, path="app/plan.yml"),
        failure=replace(run.failure, evidence=("install.sh: no line here", words, "the end")),
    )
    (found,) = annotations(run, checkout(tmp_path))
    assert (found.path, found.line) == place


def test_the_last_line_that_an_interpreter_names_is_the_one() -> None:
    assert [*script_lines(("a.sh: line 1: x", "b.sh: line 2: y"))] == [("b.sh", 2), ("a.sh", 1)]


def test_a_passed_run_has_nothing_to_remark(tmp_path: Path) -> None:
    assert annotations(samples.passed_run(), checkout(tmp_path)) == ()


# --- telling


def telling(folder: Path) -> tuple[Telling, io.StringIO]:
    stream = io.StringIO()
    job = Job(
        repository="org/app",
        workspace=folder,
        temporary=folder / "tmp",
        outputs=folder / "output",
        summary=folder / "summary",
        job="kvm",
    )
    return Telling(job=job, log=JobLog(stream), index="3"), stream


@pytest.mark.parametrize(
    "result", [samples.passed_run(), samples.failed_check_run(), samples.hostile_run(), samples.large_run()]
)
def test_a_result_becomes_outputs_and_a_summary(tmp_path: Path, result) -> None:
    told, stream = telling(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    (out / "result.json").write_text("{}")
    told.result(result, out, read_inputs({}))
    values = parsed((tmp_path / "output").read_bytes().decode())
    assert values["outcome"] == result.outcome
    assert values["upload"] == "true"
    assert set(values) - {"upload", "upload-name", "upload-path", "upload-about"} == set(NAMES) - {
        *OF_UPLOAD,
        "check-url",
    }
    assert 100 < (tmp_path / "summary").stat().st_size < 1024 * 1024
    commands = obeyed(stream.getvalue())
    assert len(commands) == len(stream.getvalue().splitlines())
    assert all(line.startswith(("::error ", "::warning ")) for line in commands)
    assert len(commands) <= 20


def test_outputs_count_the_checks() -> None:
    values = outputs_of(samples.failed_check_run(), Path("/out"))
    assert (values["passed"], values["failed"]) == ("5", "3")
    assert (values["failure-class"], values["failure-step"]) == ("check", "validate")


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("provision: {run: x}\nmachne: {}\nmachine: {cpus: many}\n", [(2, 1), (3, 17)]),
        ("provision: [\n", [(2, 1)]),
        ("", [(1, 1)]),
    ],
)
def test_each_mistake_of_a_plan_is_shown_at_its_place(
    tmp_path: Path, text: str, places: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("plan.yml").write_text(text)
    told, stream = telling(tmp_path)
    with pytest.raises(PlanError) as caught:
        load_plan(Path("plan.yml"))
    told.refusal(caught.value, Path("plan.yml"))
    found = told.refusal_annotations(caught.value, Path("plan.yml"))
    assert [(one.line, one.column) for one in found] == places
    assert {one.path for one in found} == {"plan.yml"}
    assert parsed((tmp_path / "output").read_text())["failure-class"] == "plan"
    assert len(obeyed(stream.getvalue())) == len(found)


def test_an_annotation_names_the_key(tmp_path: Path) -> None:
    (tmp_path / "plan.yml").write_text("provision: {run: x}\nmachine: {memory: 8}\n")
    told, _ = telling(tmp_path)
    with pytest.raises(PlanError) as caught:
        load_plan(tmp_path / "plan.yml", ["machine.cpus=many"])
    messages = [one.message for one in told.refusal_annotations(caught.value, tmp_path / "plan.yml")]
    assert messages[0].startswith("machine.cpus: expected a whole number")
    assert messages[1].startswith("machine.memory: expected a size")


@pytest.mark.parametrize("wrong", [{"memory": "8"}, {"plan": "none.yml"}])
@pytest.mark.parametrize("wish", ["false", "true"])
def test_nothing_is_written_into_a_summary_that_is_not_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str], wish: str
) -> None:
    monkeypatch.chdir(tmp_path)
    summary = tmp_path / "summary"
    environ = {VARIABLE: json.dumps({**wrong, "summary": wish}), "GITHUB_STEP_SUMMARY": str(summary)}
    assert run_action(environ, JobLog(io.StringIO())) == ExitCode.USAGE
    assert summary.exists() == (wish == "true")


def test_the_name_of_a_plan_is_no_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("::error::a")
    folder.mkdir()
    plan = folder / "b\n::error::c$(id)`id`.yml"
    plan.write_text("provision: {rum: x}\n")
    told, stream = telling(tmp_path)
    with pytest.raises(PlanError) as caught:
        load_plan(plan)
    told.refusal(caught.value, plan)
    assert len(obeyed(stream.getvalue())) == len(told.refusal_annotations(caught.value, plan))


def test_files_that_cannot_be_written_fail_no_run(tmp_path: Path) -> None:
    told, stream = telling(tmp_path)
    (tmp_path / "output").mkdir()
    (tmp_path / "summary").mkdir()
    told.result(samples.passed_run(), tmp_path / "none", read_inputs({}))
    assert "::warning title=kvm-e2e::could not write" in stream.getvalue()


def test_a_check_run_that_may_not_be_is_a_line_and_an_annotation_only_when_asked_for(tmp_path: Path) -> None:
    refused = Published(problem=PublishError("making the check run was refused", "Give the job checks: write."))
    told, stream = telling(tmp_path)
    told.published(refused, CheckRunWish.AUTO)
    assert stream.getvalue().startswith(
        "note: making the check run was refused; this job's summary has the report"
    )
    told.published(refused, CheckRunWish.TRUE)
    assert "\n::warning title=kvm-e2e::making the check run was refused" in stream.getvalue()


# --- the artifact


@pytest.fixture
def out(tmp_path: Path) -> Path:
    for name in ("report.html", "result.json", "snapshots.json", "guest/journal.txt", ".hidden"):
        path = tmp_path / "out" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    odd = tmp_path / "out/artifacts/var/a:b?c"
    odd.parent.mkdir(parents=True)
    odd.write_text("x")
    odd.chmod(0o751)
    (tmp_path / "out/link").symlink_to("/etc/passwd")
    return tmp_path / "out"


def test_files_of_the_guest_keep_their_names_and_modes_in_a_tar(out: Path, tmp_path: Path) -> None:
    into = tmp_path / "into"
    wanted = frozenset({Upload.REPORT, Upload.SNAPSHOTS})
    assert stage(out, into, wanted)
    pack(out, into, wanted)
    names = {str(path.relative_to(into)) for path in into.rglob("*") if path.is_file()}
    assert names == {
        *("report.html", "result.json", "snapshots.json", "guest/journal.txt", "hidden", "artifacts.tar")
    }
    with tarfile.open(into / "artifacts.tar") as packed:
        member = packed.getmember("artifacts/var/a:b?c")
    assert member.mode == 0o751


def test_a_tar_that_finds_no_room_leaves_the_rest_to_be_uploaded(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_archive: tarfile.TarFile, *_what: object, **_how: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "add", full)
    into = tmp_path / "into"
    assert stage(out, into, frozenset({Upload.REPORT}))
    with pytest.raises(HostError, match="artifacts are not in the artifact: No space"):
        pack(out, into, frozenset({Upload.REPORT}))
    assert (into / "report.html").exists()
    assert not (into / "artifacts.tar").exists()


def test_only_what_is_wanted_is_staged(out: Path, tmp_path: Path) -> None:
    assert stage(out, tmp_path / "a", frozenset({Upload.SNAPSHOTS}))
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["snapshots.json"]
    assert not stage(out, tmp_path / "b", frozenset())


def test_folders_of_a_guest_that_go_too_deep_for_recursion_are_packed(out: Path, tmp_path: Path) -> None:
    deep = tmp_path / "out/artifacts" / ("a/" * 1100)
    try:
        subprocess.run(["mkdir", "-p", deep], check=True)
        assert stage(out, tmp_path / "into", frozenset({Upload.REPORT}))
        pack(out, tmp_path / "into", frozenset({Upload.REPORT}))
        with tarfile.open(tmp_path / "into/artifacts.tar") as packed:
            assert len(packed.getnames()) > 1100
    finally:
        subprocess.run(["rm", "-rf", tmp_path / "out"], check=True)


def test_the_link_to_the_artifact_names_its_pictures(tmp_path: Path) -> None:
    shot = tmp_path / "out/screenshots/desk`](x).png"
    shot.parent.mkdir(parents=True)
    shot.write_bytes(b"png")
    everything = frozenset({Upload.REPORT, Upload.SNAPSHOTS})
    stage(tmp_path / "out", tmp_path / "a", everything)
    assert link_text(tmp_path / "a", everything) == "Report and logs of this run, with the pictures `desk-x-.png`"
    assert link_text(tmp_path / "b", frozenset({Upload.SNAPSHOTS})) == "Metadata of snapshots of this run"


def test_artifacts_of_a_matrix_have_names_of_their_own() -> None:
    names = {artifact_name("vps", "kvm", index, "1", f"20260314-120231-{index}fa{index}1c") for index in "0123"}
    assert len(names) == 4
    assert artifact_name(HOSTILE, HOSTILE, "0", "2", "20260314-120231-3f9a1c").endswith("-0-2-3f9a1c")


def test_a_name_too_long_keeps_what_makes_it_unique() -> None:
    name = artifact_name("p" * 300, "j" * 300, "0", "2", "20260314-120231-3f9a1c")
    assert len(name) <= 100
    assert name.endswith("3f9a1c")
