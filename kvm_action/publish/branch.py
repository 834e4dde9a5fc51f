"""One file on a branch that holds data, through the API: no checkout, no push, and so no race for one."""

import base64
import re
from dataclasses import dataclass
from random import uniform
from typing import Final

from github import GithubException, InputGitTreeElement
from github.ContentFile import ContentFile
from github.Repository import Repository

from kvm_action.publish.attempts import Attempts
from kvm_action.publish.errors import PublishError

NEEDS: Final = "contents: write"
_CONFLICTS: Final = 15
"""How often another writer may be faster than us: the jobs of a matrix end together."""
_LONGEST_WAIT: Final = 3.0
_FASTER: Final = re.compile(r"is at \S+ but expected|does not match|fast.forward", re.IGNORECASE)
"""GitHub's words for it; a rule of the branch or a secret that it found is a conflict (409) too."""


@dataclass(frozen=True, kw_only=True)
class DataBranch:
    """A branch that shares no history with the others. It is made with its first file."""

    repository: Repository
    name: str

    def put(self, path: str, text: str, message: str, attempts: Attempts) -> None:
        """Store ``text`` at ``path`` in a commit of its own.

        Who stores the same again changes nothing. Raises PublishError.
        """
        what = f"storing {path} on the branch {self.name}"
        for number in range(_CONFLICTS):
            if attempts.make(lambda: self._once(path, text, message), what, NEEDS):
                return
            if attempts.deadline.passed:
                break
            attempts.enough.wait(uniform(0, min(_LONGEST_WAIT, 0.3 * 2**number)))  # noqa: S311 - no secret
        raise PublishError(f"{what} failed: others wrote to it again and again while we tried", "Try again.")

    def _once(self, path: str, text: str, message: str) -> bool:
        """One try; False when somebody else was faster, so that another makes sense."""
        try:
            self.repository.create_file(path, message, text, branch=self.name)
        except GithubException as error:
            match error.status:
                case 404:
                    return self._begin(path, text, message)
                case 409 if _FASTER.search(_words(error)):
                    return False
                case 422:
                    return self._replace(path, text, message, error)
                case _:
                    raise
        return True

    def _begin(self, path: str, text: str, message: str) -> bool:
        """The branch, with this file as all of its history; False when somebody else has just made it."""
        blob = InputGitTreeElement(path, "100644", "blob", content=text)
        tree = self.repository.create_git_tree([blob])
        commit = self.repository.create_git_commit(message, tree, [])
        try:
            self.repository.create_git_ref(f"refs/heads/{self.name}", commit.sha)
        except GithubException as error:
            if error.status == 422 and "already exists" in _words(error):
                return False
            raise
        return True

    def _replace(self, path: str, text: str, message: str, refused: GithubException) -> bool:
        """There is such a file already, or the request was wrong in another way: then ``refused`` is raised."""
        try:
            found = self.repository.get_contents(path, ref=self.name)
        except GithubException as error:
            raise (refused if error.status == 404 else error) from None
        if not isinstance(found, ContentFile):
            raise refused
        if base64.b64decode(found.content) == text.encode():
            return True
        try:
            self.repository.update_file(path, message, text, found.sha, branch=self.name)
        except GithubException as error:
            if error.status == 409 and _FASTER.search(_words(error)):
                return False
            raise
        return True


def _words(error: GithubException) -> str:
    return str(error.data.get("message", "") if isinstance(error.data, dict) else error.data)
