"""What GitHub says of the job in its environment: repository, commit, run, attempt, and where its API is."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

NAME_LIMIT: Final = 100
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job of a workflow run. Empty texts are what GitHub did not say."""

    repository: str = ""
    sha: str = ""
    """The commit that a check run belongs to: of a pull request its head, not the merge that is tested."""
    run: str = ""
    attempt: str = "1"
    job: str = ""
    api: str = "https://api.github.com"
    server: str = "https://github.com"
    workspace: Path = Path()
    temporary: Path | None = None
    outputs: Path | None = None
    summary: Path | None = None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Job":
        """The job that ``environ`` describes; on a host that is no runner nearly all of it is empty."""

        def path(name: str) -> Path | None:
            return Path(environ[name]) if environ.get(name) else None

        return cls(
            repository=environ.get("GITHUB_REPOSITORY", ""),
            sha=head_sha(_event(path("GITHUB_EVENT_PATH"))) or environ.get("GITHUB_SHA", ""),
            run=environ.get("GITHUB_RUN_ID", ""),
            attempt=environ.get("GITHUB_RUN_ATTEMPT") or "1",
            job=environ.get("GITHUB_JOB", ""),
            api=environ.get("GITHUB_API_URL") or cls.api,
            server=environ.get("GITHUB_SERVER_URL") or cls.server,
            workspace=path("GITHUB_WORKSPACE") or Path(),
            temporary=path("RUNNER_TEMP"),
            outputs=path("GITHUB_OUTPUT"),
            summary=path("GITHUB_STEP_SUMMARY"),
        )

    @property
    def url(self) -> str:
        """The page of the workflow run, or nothing."""
        return f"{self.server}/{self.repository}/actions/runs/{self.run}" if self.repository and self.run else ""


def head_sha(event: Mapping[str, Any]) -> str:
    """The head commit of the pull request that ``event`` is about, if it is about one."""
    for name in ("pull_request", "workflow_run"):
        about = event.get(name)
        if isinstance(about, dict):
            head = about.get("head") if name == "pull_request" else {"sha": about.get("head_sha")}
            sha = head.get("sha") if isinstance(head, dict) else None
            if isinstance(sha, str):
                return sha
    return ""


def legal_name(text: str, limit: int = NAME_LIMIT) -> str:
    """``text`` as the name of an artifact or a file: letters, digits, dots, dashes; never empty."""
    return _NOT_IN_NAMES.sub("-", text).strip("-.")[:limit].strip("-.") or "kvm-e2e"


def _event(path: Path | None) -> dict[str, Any]:
    try:
        event = json.loads(path.read_text(encoding="utf-8")) if path else {}
    except (OSError, ValueError):
        return {}
    return event if isinstance(event, dict) else {}
