"""The check run of one job on one commit: found or made, updated, completed. Asking twice never makes two."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from github.CheckRun import CheckRun
from github.GithubObject import NotSet
from github.Repository import Repository

from kvm_action.publish.attempts import Attempts
from kvm_action.publish.page import Page

NEEDS: Final = "checks: write"


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Which check run: its name, its commit, and the id of ours by which it is found again."""

    name: str
    sha: str
    external_id: str
    details_url: str = ""


@dataclass(frozen=True)
class CheckRuns:
    """The check runs of a repository, as far as they are the one of ``identity``."""

    repository: Repository
    identity: Identity

    def open(self, page: Page, started_at: datetime, attempts: Attempts) -> CheckRun:
        """The check run, in progress. Raises PublishError."""

        def found_or_made() -> CheckRun:
            return self._find() or self.repository.create_check_run(
                self.identity.name,
                self.identity.sha,
                external_id=self.identity.external_id,
                status="in_progress",
                started_at=started_at.astimezone(UTC),
                output=page.output(),
                details_url=self.identity.details_url or NotSet,
            )

        return attempts.make(found_or_made, f"making the check run “{self.identity.name}”", NEEDS)

    def update(self, run: CheckRun, page: Page, attempts: Attempts) -> None:
        """Show ``page`` while the run goes on. Raises PublishError."""
        attempts.make(lambda: run.edit(output=page.output()), "updating the check run", NEEDS)

    def complete(self, run: CheckRun, page: Page, attempts: Attempts) -> None:
        """Show ``page`` and conclude: with the first fifty annotations, which the others follow.

        Annotations that an earlier attempt has brought there are not sent again. Raises PublishError.
        """
        sent = run.output.annotations_count or 0
        end: dict[str, Any] = {
            "status": "completed",
            "conclusion": page.conclusion,
            "completed_at": datetime.now(UTC),
        }
        for number, batch in enumerate(page.batches(sent)):
            self._append(run, page.output(batch), sent + len(batch), {} if number else end, attempts)
            sent += len(batch)

    def _append(
        self, run: CheckRun, output: dict[str, Any], total: int, end: dict[str, Any], attempts: Attempts
    ) -> None:
        """One request. GitHub adds annotations to those it has: a second attempt counts them, for ``total``."""
        made: list[bool] = []

        def once() -> None:
            again = bool(made)
            made.append(True)
            if not (again and output.get("annotations") and self._annotations_of(run) >= total):
                run.edit(output=output, **end)

        attempts.make(once, "completing the check run", NEEDS)

    def _annotations_of(self, run: CheckRun) -> int:
        return self.repository.get_check_run(run.id).output.annotations_count or 0

    def _find(self) -> CheckRun | None:
        commit = self.repository.get_commit(self.identity.sha)
        for run in commit.get_check_runs(check_name=self.identity.name, filter="all"):
            if run.external_id == self.identity.external_id:
                return run
        return None
