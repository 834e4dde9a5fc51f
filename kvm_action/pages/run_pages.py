"""A page a run: the report's own story, and around it what the history adds."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from kvm_action import result_file
from kvm_action.errors import PlanError
from kvm_action.history.changes import SinceGreen, since_green
from kvm_action.history.entry import Document
from kvm_action.history.record import Record
from kvm_action.history.store import PICTURES, History
from kvm_action.pages.links import slug
from kvm_action.pages.rendering import fragment
from kvm_action.report.view import Picture, Report, report_view

PICTURE_FOLDER: Final = "pictures"
_CONSOLE_LINES: Final = 60


@dataclass(frozen=True)
class RunPage:
    """A page's file name, its title in plain text, and its content in HTML."""

    name: str
    title: str
    content: str


@dataclass(frozen=True)
class Neighbours:
    """The runs before and after, of all plans."""

    before: Record | None
    after: Record | None


def run_pages(history: History, records: tuple[Record, ...], wanted: Callable[[str], bool]) -> Iterator[RunPage]:
    """The pages of the ``wanted`` runs (by key), one at a time; a result that cannot be read whole says so."""
    places = {record.key: at for at, record in enumerate(records)}
    for key, document in history.documents():
        if key in places and wanted(key):
            at = places[key]
            around = Neighbours(
                records[at - 1] if at else None, records[at + 1] if at + 1 < len(records) else None
            )
            told = None if records[at].is_green else since_green(history, records[at], records[:at])
            yield _run_page(history, document, records[at], told, around)


def example_pages(examples: History, records: tuple[Record, ...]) -> Iterator[RunPage]:
    """The pages of runs that have nothing to do with each other."""
    known = {record.key: record for record in records}
    for key, document in examples.documents():
        if key in known:
            yield _run_page(examples, document, known[key], None, Neighbours(None, None))


def _run_page(
    history: History, document: Document, record: Record, told: SinceGreen | None, around: Neighbours
) -> RunPage:
    try:
        result = result_file.from_document(document["result"], record.key)
    except PlanError as error:
        content = fragment("damaged.html.j2", record=record, reason=error.message, around=around)
        return RunPage(slug(record.key), record.id, content)
    view = report_view(result, frozenset(), tuple(_pictures(history, document)))
    return RunPage(
        slug(record.key), f"{view.verdict.word}: {view.title}", _content(view, document, record, told, around)
    )


def _content(view: Report, document: Document, record: Record, told: SinceGreen | None, around: Neighbours) -> str:
    values: dict[str, Any] = {one.name: getattr(view, one.name) for one in fields(Report)}
    return fragment(
        "run.html.j2",
        **values,
        record=record,
        origin=_texts(document.get("origin")),
        console=_lines(document.get("console_tail")),
        told=told,
        around=around,
    )


def _texts(origin: object) -> Mapping[str, str]:
    known = origin if isinstance(origin, dict) else {}
    names = ("repository", "commit", "ref", "commit_url", "run_url")
    return {name: str(known.get(name) or "") for name in names}


def _lines(tail: object) -> tuple[str, ...]:
    return tuple(str(line) for line in tail[-_CONSOLE_LINES:]) if isinstance(tail, list) else ()


def _pictures(history: History, document: Document) -> Iterator[Picture]:
    names = document.get("pictures") or []
    for name in names if isinstance(names, list) else []:
        if isinstance(name, str) and history.kept(PICTURES, name):
            yield Picture(name="screen", source=f"../{PICTURE_FOLDER}/{name}")
