"""Templates of the package: the one place that imports jinja2. Knows no template's meaning."""

from collections.abc import Callable
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape


@cache
def environment() -> Environment:
    """The environment: undefined names are errors, HTML and XML are escaped by default."""
    return Environment(
        loader=PackageLoader("kvm_action", "templates"),
        undefined=StrictUndefined,
        autoescape=select_autoescape(["html.j2", "xml.j2", "html", "xml"]),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render(template: str, /, filters: dict[str, Callable[..., object]] | None = None, **values: object) -> str:
    """Render ``templates/<template>`` with ``values``; ``filters`` are added for this call only."""
    base = environment()
    scope = base.overlay() if filters else base
    if filters:
        scope.filters = {**base.filters, **filters}
    return scope.get_template(template).render(**values)
