"""The indexes that mkdocs leaves beside the pages, put right for the pages that it did not write itself."""

import json
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from kvm_action.history.record import Record
from kvm_action.pages.links import run_page
from kvm_action.text import plain_line


def add_to_search(index: Path, records: Sequence[Record]) -> None:
    """The search of mkdocs-material finds runs too: its index is a list of places with title and text."""
    if not index.is_file():
        return
    document = json.loads(index.read_text(encoding="utf-8"))
    for run in records:
        words = f"{run.id} {run.outcome} {run.failure} {run.image} {run.backend} {run.accel} {run.commit[:12]}"
        title = f"{run.plan}, {run.started_at:%d %b %Y, %H:%M}: {run.outcome}"
        entry = {"location": run_page(run), "title": plain_line(title, 200), "text": plain_line(words, 500)}
        document["docs"].append(entry | {name: escape(entry[name]) for name in ("title", "text")})
    index.write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")


def leave_out_of_sitemap(sitemap: Path, page: str) -> None:
    """Take the address of ``page``, which is not written, out of the map."""
    if sitemap.is_file():
        text = sitemap.read_text(encoding="utf-8")
        sitemap.write_text(re.sub(rf"\s*<url>(?:(?!</url>).)*{page}.*?</url>", "", text, flags=re.DOTALL))
