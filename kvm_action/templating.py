"""Templates of the package: the one place that imports jinja2. Knows no template's meaning."""

from collections.abc import Callable, Mapping
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from kvm_action.signs import mark

Function = Callable[..., object]


@cache
def environment(filters: tuple[tuple[str, Function], ...] = (), finalize: Function | None = None) -> Environment:
    """The environment: undefined names are errors, HTML and XML are escaped by default.

    ``finalize`` is applied to every value that a template prints, for formats that jinja2 cannot escape.
    """
    made = Environment(
        loader=PackageLoader("kvm_action", "templates"),
        undefined=StrictUndefined,
        autoescape=select_autoescape(["html.j2", "xml.j2", "html", "xml"]),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=finalize,
    )
    made.filters.update({"mark": mark} | dict(filters))
    return made


def render(
    template: str,
    /,
    filters: Mapping[str, Function] | None = None,
    finalize: Function | None = None,
    **values: object,
) -> str:
    """Render ``templates/<template>`` with ``values``, with ``filters`` besides jinja2's own and ``mark``."""
    scope = environment(tuple(sorted((filters or {}).items())), finalize)
    return scope.get_template(template).render(**values)
