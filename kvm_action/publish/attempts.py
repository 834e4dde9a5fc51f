"""Trying again, bounded: what GitHub cannot do this moment it may do the next.

PyGithub's own GithubRetry is not used: it sends a POST again without looking whether the first one arrived.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import Final, TypeVar

from github import GithubException
from requests.exceptions import RequestException

from kvm_action.publish.errors import PublishError, Refusal, explained, is_passing, retry_after
from kvm_action.wait import Deadline

T = TypeVar("T")
WAITS: Final = (0.5, 2.0, 5.0)
"""Seconds before each further attempt, unless GitHub asks for more."""


@dataclass(frozen=True, kw_only=True)
class Attempts:
    """How long to go on; ``enough`` ends it early, when there is something newer to say."""

    deadline: Deadline
    waits: tuple[float, ...] = WAITS
    enough: Event = field(default_factory=Event)

    def make(self, call: Callable[[], T], what: str, needs: str) -> T:
        """What ``call`` returns, tried again while that may help. Raises PublishError, which says ``what`` failed.

        ``call`` looks itself whether an attempt that seemed to fail was carried out after all.
        """
        waits = iter(self.waits)
        while True:
            try:
                return call()
            except (GithubException, RequestException) as error:
                wait = next(waits, None)
                if wait is None or not self._pause(error, wait):
                    raise explained(error, what, needs) from None
            except AssertionError as error:  # PyGithub's way to refuse an answer that names another host
                raise PublishError(f"{what} failed: GitHub's answer is not as expected ({error})") from None

    def _pause(self, error: Refusal, wait: float) -> bool:
        """Wait before another attempt; False when there shall be none."""
        wait = max(wait, retry_after(error))
        if not is_passing(error) or wait >= self.deadline.left:
            return False
        return not self.enough.wait(wait)
