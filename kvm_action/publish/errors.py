"""What GitHub refused, as one sentence and what to do about it. No message ever holds the token."""

from typing import Final

from github import GithubException, RateLimitExceededException
from requests.exceptions import RequestException

from kvm_action.errors import HostError
from kvm_action.text import plain_line

Refusal = GithubException | RequestException

PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})
"""Answers that may be another one a moment later."""


class PublishError(HostError):
    """GitHub did not take what we wanted to tell it."""


def is_passing(error: Refusal) -> bool:
    """Is it worth to try again?"""
    if isinstance(error, RequestException | RateLimitExceededException):
        return True
    return error.status in PASSING


def retry_after(error: Refusal) -> float:
    """The seconds that GitHub asks us to wait, 0 when it does not."""
    headers = getattr(error, "headers", None) or {}
    words = {str(name).lower(): str(value) for name, value in headers.items()}.get("retry-after", "")
    return float(words) if words.isdecimal() else 0.0


def explained(error: Refusal, what: str, needs: str) -> PublishError:
    """The error for a user: ``what`` we wanted to do, ``needs`` the permission it takes, as ``checks: write``."""
    if isinstance(error, RequestException):
        return PublishError(
            f"{what} failed: GitHub's API did not answer ({type(error).__name__})",
            "Is GITHUB_API_URL right, and can this host reach it?",
        )
    if is_passing(error):
        wait = retry_after(error)
        asked = f" and asked us to wait {wait:.0f} s" if wait else ""
        return PublishError(f"{what} failed: GitHub answered {error.status}{asked}, more than once")
    said = f"{what} failed: GitHub answered {error.status}{_reason(error)}"
    match error.status:
        case 401:
            return PublishError(said, "The token is wrong or has expired.")
        case 403:
            return PublishError(
                f"{what} was refused: the token may not do that",
                f"Give the job `permissions: {needs}`; for pull requests from forks GitHub never does.",
            )
        case 404:
            return PublishError(
                said, "The repository or the commit is unknown to the token: are both written as they should be?"
            )
        case _:
            return PublishError(said)


def _reason(error: GithubException) -> str:
    message = error.data.get("message") if isinstance(error.data, dict) else None
    return f" ({plain_line(message, 200)})" if isinstance(message, str) and message else ""
