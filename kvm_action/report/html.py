"""report.html: one file that needs nothing else and runs nothing."""

from collections.abc import Collection
from dataclasses import fields
from typing import Final

from markupsafe import Markup, escape

from kvm_action.report.prose import pieces
from kvm_action.report.view import Picture, Report, report_view
from kvm_action.results import RunResult
from kvm_action.templating import render

_UNBROKEN: Final = 34
"""A piece of code up to this long is kept on one line; it fits a phone."""


def html(result: RunResult, present: Collection[str] | None = None, pictures: tuple[Picture, ...] = ()) -> str:
    """The page. ``present``: the files that exist beside it, to link only those (None: link all)."""
    view = report_view(result, present, pictures)
    values = {one.name: getattr(view, one.name) for one in fields(Report)}
    return render("report.html.j2", filters={"prose": prose}, **values)


def prose(text: str) -> Markup:
    """``text`` escaped, with what stands between backticks as code."""
    return Markup("").join(escape(words) + (_code(code) if code else "") for words, code in pieces(text))


def _code(code: str) -> Markup:
    short = Markup(' class="unbroken"') if len(code) <= _UNBROKEN else ""
    return Markup("<code{}>{}</code>").format(short, code)
