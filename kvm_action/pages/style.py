"""The site's style sheet: the report's parts, kept to our own elements and to mkdocs-material's measure."""

import re
from typing import Final

from kvm_action.templating import render

_REM: Final = re.compile(r"(?<![\w.])(\d*\.?\d+)rem\b")
_SCALE: Final = 16 / 20
"""A report's rem is 16 pixels, mkdocs-material's 20."""


def style_sheet() -> str:
    """CSS. Rules are nested, so that nothing of it reaches what mkdocs-material draws."""
    return "\n".join(_scaled(line) for line in render("site/site.css.j2").splitlines()) + "\n"


def _scaled(line: str) -> str:
    """Conditions of @media are left alone: there, a rem is 16 pixels everywhere."""
    if line.lstrip().startswith("@media"):
        return line
    return _REM.sub(lambda found: f"{float(found[1]) * _SCALE:g}rem", line)
