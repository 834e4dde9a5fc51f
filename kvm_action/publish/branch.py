"""One file on a branch that holds data, through the API: no checkout, no push, and so no race for one."""

import base64
from dataclasses import dataclass
from typing import Final

from github import GithubException, InputGitTreeElement
from github.ContentFile import ContentFile
from github.Repository import Repository

from kvm_action.publish.attempts import Attempts
from kvm_action.publish.errors import PublishError

NEEDS: Final = "contents: write"
_CONFLICTS: Final = 5
"""How often another writer may be faster than us."""
_WAIT: Final = 0.3


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
        for _ in range(_CONFLICTS):
            if attempts.make(lambda: self._once(path, text, message), what, NEEDS):
                return
            attempts.enough.wait(_WAIT)
        raise PublishError(f"{what} failed: others wrote to it {_CONFLICTS} times while we tried", "Try again.")

    def _once(self, path: str, text: str, message: str) -> bool:
        """One try; False when somebody else was faster, so that another makes sense."""
        try:
            self.repository.create_file(path, message, text, branch=self.name)
        except GithubException as error:
            match error.status:
                case 404:
                    return self._begin(path, text, message)
                case 409:
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
            if error.status == 422:
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
            if error.status == 409:
                return False
            raise
        return True
