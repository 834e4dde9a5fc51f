"""A repository on GitHub or on a GitHub Enterprise Server. Making it asks nothing."""

from dataclasses import dataclass, field
from typing import Final

from github import Auth, Github
from github.Repository import Repository

from kvm_action import __version__
from kvm_action.errors import PlanError

TIMEOUT: Final = 10
"""Seconds for one request."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """Where the API is, and what may be done there."""

    repository: str
    """``owner/name``."""
    token: str = field(repr=False)
    api: str = "https://api.github.com"


def repository(access: Access) -> Repository:
    """The repository. The first request happens with the first use. Raises PlanError for what is no address."""
    if not access.api.startswith(("https://", "http://")):
        raise PlanError(f"{access.api!r} is not the address of an API", "write it as https://HOST/api/v3")
    client = Github(
        auth=Auth.Token(access.token),
        base_url=access.api.rstrip("/"),
        user_agent=f"kvm-e2e/{__version__}",
        timeout=TIMEOUT,
        per_page=100,
        retry=None,
        seconds_between_requests=None,
        seconds_between_writes=None,
        lazy=True,
    )
    return client.get_repo(access.repository)
