"""`kvm-e2e publish`: a result as a check run on GitHub, from wherever the result is."""

import os
from datetime import timedelta
from pathlib import Path

import click

from kvm_action import result_file
from kvm_action.errors import PlanError
from kvm_action.publish.attempts import Attempts
from kvm_action.publish.check_runs import CheckRuns, Identity
from kvm_action.publish.client import Access, repository
from kvm_action.publish.page import completed
from kvm_action.report.annotations import Checkout, annotations
from kvm_action.results import RunResult
from kvm_action.wait import Deadline
from kvm_action.workflow.job import Job


@click.command(name="publish")
@click.argument("result", type=click.Path(path_type=Path))
@click.option("--repository", "name", metavar="OWNER/NAME", help="The repository  [default: $GITHUB_REPOSITORY]")
@click.option("--sha", help="The commit  [default: the pull request's head, or $GITHUB_SHA]")
@click.option("--check-name", help="The name of the check run  [default: kvm-e2e: PLAN]")
@click.option("--api-url", help="The API of a GitHub Enterprise Server  [default: $GITHUB_API_URL]")
@click.option("--details-url", help="Where the check run's link leads  [default: the workflow run]")
def command(
    result: Path,
    name: str | None,
    sha: str | None,
    check_name: str | None,
    api_url: str | None,
    details_url: str | None,
) -> None:
    """Show RESULT (a result.json) as a check run. The token comes from $GITHUB_TOKEN and needs `checks: write`.

    Publishing a result twice makes one check run.
    """
    found, job = result_file.read(result), Job.from_environ(os.environ)
    access = Access(
        repository=_known(name or job.repository, "repository", "--repository OWNER/NAME"),
        token=_known(os.environ.get("GITHUB_TOKEN", ""), "token", "GITHUB_TOKEN in the environment"),
        api=api_url or job.api,
    )
    identity = Identity(
        name=check_name or f"kvm-e2e: {found.plan.name}",
        sha=_known(sha or job.sha, "commit", "--sha"),
        external_id=f"kvm-e2e/{found.id}",
        details_url=details_url or job.url,
    )
    click.echo(publish(found, access, identity, Checkout(job.workspace, Path())))


def publish(result: RunResult, access: Access, identity: Identity, checkout: Checkout) -> str:
    """Make or find the check run and complete it; returns its address. Raises PublishError."""
    checks = CheckRuns(repository(access), identity)
    page = completed(result, annotations(result, checkout))
    attempts = Attempts(deadline=Deadline(timedelta(minutes=2)))
    run = checks.open(page, result.started_at, attempts)
    checks.complete(run, page, attempts)
    return run.html_url


def _known(value: str, what: str, how: str) -> str:
    if not value:
        raise PlanError(f"no {what} is known", f"Give {how}.")
    return value
