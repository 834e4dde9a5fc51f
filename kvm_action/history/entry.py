"""A result as the history keeps it: with where it came from and what its output folder alone knew. One JSON file.

Entries of older schemas are brought up to date when they are read; the files stay as they are.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from kvm_action import result_file
from kvm_action.results import RunResult

Document = dict[str, Any]

VERSION: Final = 1
SCHEMA: Final = f"kvm-e2e/history/v{VERSION}"
_KIND: Final = re.compile(r"kvm-e2e/(history|result)/v(\d{1,6})")


class NotAnEntryError(ValueError):
    """The text is no entry; the message says why, in words for the user."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What was tested and by which job, where that is known."""

    repository: str = ""
    commit: str = ""
    ref: str = ""
    commit_url: str = ""
    run_url: str = ""
    """The workflow run; its artifacts are listed there."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Origin | None":
        """What GitHub Actions says of its job (documented default variables); None elsewhere."""
        repository, run = environ.get("GITHUB_REPOSITORY", ""), environ.get("GITHUB_RUN_ID", "")
        if not repository:
            return None
        site = f"{environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{repository}"
        commit = environ.get("GITHUB_SHA", "")
        return cls(
            repository=repository,
            commit=commit,
            ref=environ.get("GITHUB_REF_NAME", ""),
            commit_url=f"{site}/commit/{commit}" if commit else "",
            run_url=f"{site}/actions/runs/{run}/attempts/{environ.get('GITHUB_RUN_ATTEMPT', '1')}" if run else "",
        )


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One file of the history. ``packages`` and ``pictures`` name files beside the entries, by their sha256."""

    result: RunResult
    added_at: datetime
    origin: Origin | None = None
    packages: str = ""
    pictures: tuple[str, ...] = ()
    console_tail: tuple[str, ...] = ()


def dumps(entry: Entry) -> str:
    """``entry`` as JSON on few lines: most of a history is read far more often by us than by people."""
    document = {
        "schema": SCHEMA,
        "added_at": entry.added_at.astimezone(UTC).isoformat(timespec="seconds"),
        "origin": asdict(entry.origin) if entry.origin else None,
        "packages": entry.packages,
        "pictures": entry.pictures,
        "console_tail": entry.console_tail,
        "result": json.loads(result_file.dumps(entry.result)),
    }
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace").decode() + "\n"


def document_of(text: str | bytes) -> Document:
    """The entry in ``text``, as plain values of the newest schema. Raises NotAnEntryError."""
    try:
        document: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotAnEntryError("it is not JSON; was it cut off?") from error
    if not isinstance(document, dict):
        raise NotAnEntryError("it is not a JSON object")
    return _up_to_date(document)


def _up_to_date(document: Document) -> Document:
    match = _KIND.fullmatch(str(document.get("schema")))
    if not match:
        raise NotAnEntryError('its "schema" is not one of kvm-e2e')
    version = int(match[2]) if match[1] == "history" else 0
    if version > VERSION or (match[1] == "result" and int(match[2]) > 1):
        raise NotAnEntryError(f"a newer kvm-e2e wrote it ({match[0]}); update kvm-e2e to read it")
    for migrate in MIGRATIONS[version:]:
        document = migrate(document)
    return document


def _from_bare_result(document: Document) -> Document:
    """Version 0: a result.json that was put into the folder as it is."""
    return {"schema": SCHEMA, "added_at": None, "origin": None, "result": document}


MIGRATIONS: Final[tuple[Callable[[Document], Document], ...]] = (_from_bare_result,)
"""At index n: from version n to n + 1."""
