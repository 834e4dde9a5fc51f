"""What GitHub is sent, held against its own description; and what becomes of a run that GitHub does not take."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import samples
from cmarkgfm import github_flavored_markdown_to_html
from cmarkgfm.cmark import Options
from github_api import GitHub, Response, cut, refusing, serve
from pytest_httpserver import HTTPServer
from werkzeug import Request

from kvm_action.errors import ExitCode
from kvm_action.events import StepFinished, StepStarted
from kvm_action.publish import attempts as attempts_module
from kvm_action.publish.attempts import Attempts
from kvm_action.publish.branch import DataBranch
from kvm_action.publish.check_runs import CheckRuns, Identity
from kvm_action.publish.client import Access, repository
from kvm_action.publish.errors import PublishError
from kvm_action.publish.live import LiveCheckRun
from kvm_action.publish.page import TEXT_LIMIT, Page, completed, in_progress
from kvm_action.report.annotations import Checkout, annotations
from kvm_action.results import RunResult, StepName
from kvm_action.wait import Deadline

TOKEN = "ghs_verySecretToken0123456789"
SHA = "a" * 40
QUICK = (0.01, 0.01, 0.01)


@pytest.fixture
def github(httpserver: HTTPServer) -> Iterator[GitHub]:
    """A GitHub, which has found nothing wrong with what it was sent."""
    github = serve(httpserver)
    yield github
    assert github.invalid == []
    assert github.tokens <= {f"token {TOKEN}", f"Bearer {TOKEN}"}


def access(server: HTTPServer, prefix: str = "") -> Access:
    return Access(repository="org/app", token=TOKEN, api=server.url_for(prefix).rstrip("/"))


def checks(server: HTTPServer, external_id: str = "kvm-e2e/1/1/kvm/0") -> CheckRuns:
    identity = Identity(name="kvm-e2e: vps", sha=SHA, external_id=external_id, details_url="https://x.example/1")
    return CheckRuns(repository(access(server)), identity)


def attempts(seconds: float = 5, waits: tuple[float, ...] = QUICK) -> Attempts:
    return Attempts(deadline=Deadline(timedelta(seconds=seconds)), waits=waits)


def page(result: RunResult) -> Page:
    return completed(result, annotations(result, Checkout(Path(), Path())))


def publish(server: HTTPServer, result: RunResult) -> None:
    run = checks(server).open(in_progress("", ()), datetime.now(UTC), attempts())
    checks(server).complete(run, page(result), attempts())


@pytest.mark.parametrize(
    ("result", "conclusion"),
    [
        (samples.passed_run(), "success"),
        (samples.failed_check_run(), "failure"),
        (samples.stuck_boot_run(), "failure"),
        (samples.interrupted_run(), "cancelled"),
        (samples.plan_error_run(), "failure"),
        (samples.hostile_run(), "failure"),
    ],
    ids=["passed", "failed", "stuck", "interrupted", "least", "hostile"],
)
def test_a_run_of_any_kind_is_told(
    httpserver: HTTPServer, github: GitHub, result: RunResult, conclusion: str
) -> None:
    publish(httpserver, result)
    (run,) = github.check_runs
    assert (run["status"], run["conclusion"]) == ("completed", conclusion)
    assert (run["name"], run["head_sha"]) == ("kvm-e2e: vps", SHA)
    created = github.sent("POST")[0]
    assert created["status"] == "in_progress"
    assert created["details_url"] == "https://x.example/1"


def test_text_of_a_guest_is_text_in_the_check_run(httpserver: HTTPServer, github: GitHub) -> None:
    publish(httpserver, samples.hostile_run())
    (run,) = github.check_runs
    for text in (run["output"]["title"], *(str(one) for one in run["annotations"])):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\0" not in text
    for text in (run["output"]["summary"], run["output"]["text"]):
        page = github_flavored_markdown_to_html(text, Options.CMARK_OPT_UNSAFE)
        for evil in ("<script", "<img", "<a ", "&lt;script&gt;</p>"):
            assert evil not in page


def test_a_long_report_is_cut_by_worth(httpserver: HTTPServer, github: GitHub) -> None:
    tail = tuple(f"{at} {'ä' * 200}" for at in range(600))
    result = replace(samples.large_run(), script_tail=tail)
    publish(httpserver, result)
    output = github.check_runs[0]["output"]
    assert len(output["summary"]) <= TEXT_LIMIT
    assert len(output["text"]) <= TEXT_LIMIT
    assert "checks do not hold" in output["summary"]
    assert "Cut to fit" in output["text"]


def test_annotations_go_fifty_at_a_time_and_all_arrive(httpserver: HTTPServer, github: GitHub) -> None:
    bad = samples.failed_check_run().checks[3]
    many = tuple(replace(bad, name=f"check {at}", line=at + 1) for at in range(119))
    publish(httpserver, replace(samples.failed_check_run(), checks=many, idempotence=None))
    sizes = [len(body["output"].get("annotations", [])) for body in github.sent("PATCH")]
    assert sizes == [50, 50, 20]
    assert github.sent("PATCH")[0]["conclusion"] == "failure", "the first request concludes"
    (run,) = github.check_runs
    assert len({one["title"] for one in run["annotations"]}) == 120


def test_publishing_again_makes_no_second_check_run_and_no_second_annotation(
    httpserver: HTTPServer, github: GitHub
) -> None:
    for _ in range(3):
        publish(httpserver, samples.failed_check_run())
    (run,) = github.check_runs
    titles = [one["title"] for one in run["annotations"]]
    assert len(titles) == len(set(titles)) > 1


def test_an_answer_that_was_lost_doubles_nothing(httpserver: HTTPServer, github: GitHub) -> None:
    def made_but_cut(request: Request) -> Response:
        github._answer(request.method, "/repos/{owner}/{repo}/check-runs", request.path, request.get_json())
        return cut(request)

    def noted_but_500(request: Request) -> Response:
        github._update(request.path, request.get_json())
        return refusing(502, "Server Error")(request)

    github.fail("POST", "/check-runs", made_but_cut)
    github.fail("PATCH", "/check-runs/", noted_but_500)
    publish(httpserver, samples.failed_check_run())
    (run,) = github.check_runs
    titles = [one["title"] for one in run["annotations"]]
    assert len(titles) == len(set(titles)) > 1
    assert run["status"] == "completed"


@pytest.mark.parametrize(
    "fault",
    [
        refusing(500, "Server Error"),
        refusing(429, "You have exceeded a secondary rate limit", **{"Retry-After": "1"}),
        refusing(403, "API rate limit exceeded for installation", **{"x-ratelimit-remaining": "0"}),
        cut,
    ],
    ids=["500", "429", "rate limit", "cut"],
)
def test_trouble_that_passes_is_waited_for(httpserver: HTTPServer, github: GitHub, fault) -> None:
    github.fail("POST", "/check-runs", fault)
    publish(httpserver, samples.passed_run())
    assert [run["conclusion"] for run in github.check_runs] == ["success"]


def test_github_is_given_the_time_it_asks_for(httpserver: HTTPServer, github: GitHub) -> None:
    github.fail("POST", "/check-runs", refusing(429, "slow down", **{"Retry-After": "1"}))
    began = time.monotonic()
    publish(httpserver, samples.passed_run())
    assert time.monotonic() - began >= 1


def test_more_time_than_there_is_is_not_waited(httpserver: HTTPServer, github: GitHub) -> None:
    github.fail("POST", "/check-runs", refusing(429, "slow down", **{"Retry-After": "3600"}))
    began = time.monotonic()
    with pytest.raises(PublishError, match="asked us to wait 3600 s"):
        publish(httpserver, samples.passed_run())
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("status", "message", "said"),
    [
        (403, "Resource not accessible by integration", "was refused: the token may not do that"),
        (404, "Not Found", "GitHub answered 404"),
        (409, "Conflict", "409"),
        (422, "No commit found for SHA", "No commit found for SHA"),
        (401, "Bad credentials", "401"),
    ],
)
def test_a_refusal_is_one_sentence_without_the_token(
    httpserver: HTTPServer, github: GitHub, status: int, message: str, said: str
) -> None:
    github.fail("POST", "/check-runs", refusing(status, message))
    with pytest.raises(PublishError, match=said) as caught:
        publish(httpserver, samples.passed_run())
    error = caught.value
    assert len(github.sent("POST")) == 1, "a refusal is not asked for again"
    assert "\n" not in error.message
    assert TOKEN not in f"{error!r} {error.message} {error.hint} {error.__cause__} {error.__context__}"
    assert error.exit_code is ExitCode.INFRASTRUCTURE


def test_trouble_that_lasts_ends(httpserver: HTTPServer, github: GitHub) -> None:
    github.fail("POST", "/check-runs", *([refusing(503, "x")] * 20))
    with pytest.raises(PublishError, match="503"):
        publish(httpserver, samples.passed_run())
    assert len(github.sent("POST")) == len(attempts_module.WAITS) + 1


def test_a_server_that_is_not_there_is_said_to_be(httpserver: HTTPServer) -> None:
    gone = Access(repository="org/app", token=TOKEN, api="http://127.0.0.1:9")
    identity = Identity(name="x", sha=SHA, external_id="x")
    with pytest.raises(PublishError, match="did not answer") as caught:
        CheckRuns(repository(gone), identity).open(in_progress("", ()), datetime.now(UTC), attempts())
    assert TOKEN not in str(caught.value.message)


def test_an_enterprise_server_is_asked_at_its_own_address(httpserver: HTTPServer) -> None:
    github = serve(httpserver, "/api/v3")
    identity = Identity(name="kvm-e2e: vps", sha=SHA, external_id="x")
    runs = CheckRuns(repository(access(httpserver, "/api/v3")), identity)
    runs.open(in_progress("", ()), datetime.now(UTC), attempts())
    assert github.invalid == []
    assert len(github.check_runs) == 1


def test_an_access_does_not_show_its_token() -> None:
    assert TOKEN not in repr(Access(repository="org/app", token=TOKEN))


# --- beside a run


def steps() -> Iterator[StepStarted | StepFinished]:
    for step in samples.passed_run().steps:
        yield StepStarted(name=step.name, at=step.started_at)
        yield StepFinished(result=step)


def test_a_check_run_follows_the_steps_and_concludes(httpserver: HTTPServer, github: GitHub) -> None:
    live = LiveCheckRun(checks(httpserver), every=timedelta(milliseconds=20))
    live.start()
    for event in steps():
        live(event)
        time.sleep(0.01)
    published = live.finish(page(samples.passed_run()), timedelta(seconds=10))
    assert published.problem is None
    assert published.url == "https://github.com/org/app/runs/1"
    titles = [body["output"]["title"] for body in (*github.sent("POST"), *github.sent("PATCH"))]
    assert len(titles) >= 3, "it was updated meanwhile"
    assert any(title.startswith("In ") for title in titles)
    assert github.check_runs[0]["conclusion"] == "success"


def test_a_github_that_hangs_delays_no_step(httpserver: HTTPServer, github: GitHub) -> None:
    released = threading.Event()

    def hang(_request: Request) -> Response:
        released.wait(20)
        return refusing(500, "late")(_request)

    github.fail("POST", "/check-runs", *[hang] * 4)
    live = LiveCheckRun(checks(httpserver))
    began = time.monotonic()
    live.start()
    for event in steps():
        live(event)
    assert time.monotonic() - began < 0.5
    began = time.monotonic()
    published = live.finish(page(samples.passed_run()), timedelta(seconds=0.5))
    assert time.monotonic() - began < 1
    assert published.problem
    assert "longer than" in published.problem.message
    released.set()


def test_a_read_only_token_is_told_once_and_asked_no_more(httpserver: HTTPServer, github: GitHub) -> None:
    github.fail("POST", "/check-runs", refusing(403, "Resource not accessible by integration"))
    live = LiveCheckRun(checks(httpserver), every=timedelta(milliseconds=10))
    live.start()
    for event in steps():
        live(event)
    published = live.finish(page(samples.passed_run()), timedelta(seconds=5))
    assert published.url == ""
    assert published.problem
    assert "checks: write" in published.problem.hint
    assert not github.check_runs
    assert not github.sent("PATCH")


def test_an_update_that_fails_does_not_keep_the_last_word(httpserver: HTTPServer, github: GitHub) -> None:
    live = LiveCheckRun(checks(httpserver), every=timedelta(milliseconds=10))
    live.start()
    wait_until(lambda: github.check_runs)
    github.fail("PATCH", "/check-runs/", refusing(422, "x"), refusing(404, "x"))
    for event in steps():
        live(event)
        time.sleep(0.01)
    wait_until(lambda: len(github.sent("PATCH")) >= 2)
    published = live.finish(page(samples.failed_provision_run()), timedelta(seconds=10))
    assert published.problem is None
    assert github.check_runs[0]["conclusion"] == "failure"


def wait_until(condition) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


# --- the data branch


def branch(server: HTTPServer) -> DataBranch:
    return DataBranch(repository=repository(access(server)), name="kvm-e2e-history")


def test_the_first_result_makes_the_branch_and_the_next_joins_it(httpserver: HTTPServer, github: GitHub) -> None:
    branch(httpserver).put("runs/1.json", "one\n", "Add run 1", attempts())
    branch(httpserver).put("runs/2.json", "zwölf\n", "Add run 2", attempts())
    assert github.files == {"kvm-e2e-history": {"runs/1.json": "one\n", "runs/2.json": "zwölf\n"}}


def test_two_jobs_that_make_the_branch_at_once_both_store(httpserver: HTTPServer, github: GitHub) -> None:
    def raced(request: Request) -> Response:
        github.files["kvm-e2e-history"] = {"runs/other.json": "other"}
        return refusing(422, "Reference already exists")(request)

    github.fail("POST", "/git/refs", raced)
    branch(httpserver).put("runs/1.json", "one", "Add", attempts())
    assert github.files["kvm-e2e-history"] == {"runs/other.json": "other", "runs/1.json": "one"}


def test_a_conflict_is_tried_again(httpserver: HTTPServer, github: GitHub) -> None:
    github.files["kvm-e2e-history"] = {}
    github.fail("PUT", "/contents/", *[refusing(409, "is at b but expected a")] * 3)
    branch(httpserver).put("runs/1.json", "one", "Add", attempts())
    assert github.files["kvm-e2e-history"] == {"runs/1.json": "one"}


def test_endless_conflicts_end(httpserver: HTTPServer, github: GitHub) -> None:
    github.files["kvm-e2e-history"] = {}
    github.fail("PUT", "/contents/", *[refusing(409, "is at b but expected a")] * 50)
    with pytest.raises(PublishError, match="others wrote to it again and again"):
        branch(httpserver).put("runs/1.json", "one", "Add", attempts())


@pytest.mark.parametrize("words", ["Changes must be made through a pull request.", "Secret detected in content"])
def test_a_rule_that_forbids_it_is_told_and_not_taken_for_a_race(
    httpserver: HTTPServer, github: GitHub, words: str
) -> None:
    github.files["kvm-e2e-history"] = {}
    github.fail("PUT", "/contents/", *[refusing(409, words)] * 3)
    with pytest.raises(PublishError, match=words[:20]):
        branch(httpserver).put("runs/1.json", "one", "Add", attempts())


def test_storing_the_same_again_changes_nothing_and_another_text_replaces_it(
    httpserver: HTTPServer, github: GitHub
) -> None:
    github.files["kvm-e2e-history"] = {"runs/1.json": "one"}
    branch(httpserver).put("runs/1.json", "one", "Add", attempts())
    assert [body.get("sha") for body in github.sent("PUT")] == [None]
    branch(httpserver).put("runs/1.json", "two", "Add", attempts())
    assert github.files["kvm-e2e-history"] == {"runs/1.json": "two"}
    assert github.sent("PUT")[-1]["sha"] == "f" * 40


def test_a_token_that_may_not_write_contents_is_told_which_permission(
    httpserver: HTTPServer, github: GitHub
) -> None:
    github.fail("PUT", "/contents/", refusing(403, "Resource not accessible by integration"))
    with pytest.raises(PublishError) as caught:
        branch(httpserver).put("runs/1.json", "one", "Add", attempts())
    assert "contents: write" in caught.value.hint


def test_a_step_name_is_what_the_title_says_while_it_runs() -> None:
    assert in_progress(StepName.PROVISION, ()).title == "In provision"
    assert len(in_progress("ssh", samples.hostile_run().steps * 200).summary) <= TEXT_LIMIT
