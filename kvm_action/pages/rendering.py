"""Fragments of HTML from the site's templates: all text harmless, then escaped."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from markupsafe import Markup

from kvm_action.pages.links import run_page, web_address
from kvm_action.report.html import prose
from kvm_action.templating import render
from kvm_action.text import plain, plain_line, shorten
from kvm_action.units import format_seconds, format_size

_MOST: Final = 4000


def fragment(template: str, **values: object) -> str:
    """``templates/site/<template>`` with ``values``."""
    return render(f"site/{template}", filters=FILTERS, finalize=harmless, **values)


def harmless(value: object) -> object:
    """What a template prints, without escapes, control characters and marks that turn the text around."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return shorten(plain(value), _MOST)


def figure(value: float | None, unit: str) -> str:
    """A figure for a reader: seconds, bytes, or a dash."""
    if value is None:
        return "–"
    return format_size(round(value)) if unit == "B" else format_seconds(value)


def moment(value: datetime) -> Markup:
    """A date, exact for a program and short for a reader."""
    return Markup('<time datetime="{}">{}</time>').format(
        value.isoformat(timespec="seconds"), f"{value:%d %b %Y, %H:%M}"
    )


def percent(share: float) -> str:
    """A signed percentage: ``+12 %``."""
    return f"{share:+.0%}".replace("%", " %").replace("-", "\N{MINUS SIGN}")


def data(value: Any) -> Markup:
    """``value`` as JSON that may stand in a script element, whatever text is in it."""
    return Markup(script_json(value))  # noqa: S704 - script_json leaves nothing that HTML could act on


def script_json(value: Any) -> str:
    """JSON without ``<``, ``>``, ``&`` and line ends that JavaScript would see; text made harmless."""
    text = json.dumps(_harmless_values(value), ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _harmless_values(value: Any) -> Any:
    if isinstance(value, str):
        return plain_line(value, 300)
    if isinstance(value, dict):
        return {key: _harmless_values(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_harmless_values(item) for item in value]
    return value


FILTERS: Final[dict[str, Callable[..., object]]] = {
    "data": data,
    "figure": figure,
    "line": plain_line,
    "moment": moment,
    "percent": percent,
    "prose": prose,
    "run_page": run_page,
    "seconds": format_seconds,
    "web": web_address,
}
