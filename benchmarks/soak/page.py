"""The soak as one page: a plot for each measure of each phase, drawn as SVG, that fetches nothing."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

from benchmarks.soak.growth import MEASURES, MIB, Measure, grew, series
from benchmarks.soak.phases import by_phase
from benchmarks.soak.samples import Sample

WIDTH, HEIGHT, EDGE = 420, 130, 8
STYLE: Final = """
body { font: 15px system-ui; margin: 2em; color: #222; background: #fff }
section { display: flex; flex-wrap: wrap; gap: 1em }
figure { margin: 0; border: 1px solid #ccc; padding: .5em } figure.grew { border-color: #c00 }
circle { fill: #2563a8 } .grew circle { fill: #c00 } text { font-size: 11px; fill: #555 } h2 { width: 100% }
"""


def page(samples: Sequence[Sample]) -> str:
    """The whole page."""
    parts = [section(phase, of_phase) for phase, of_phase in by_phase(list(samples))]
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>Soak</title><style>{STYLE}</style>"
        f"<h1>Soak: {len(samples)} runs</h1>{''.join(parts)}</html>\n"
    )


def section(phase: str, samples: Sequence[Sample]) -> str:
    """One phase."""
    plots = "".join(figure(measure, series(samples, measure)) for measure in MEASURES)
    good = sum(sample.is_good for sample in samples)
    return f"<section><h2>{escape(phase)}: {good} of {len(samples)} passed from a template</h2>{plots}</section>"


def figure(measure: Measure, values: Sequence[float]) -> str:
    """One plot; empty for what this host does not tell."""
    if not values:
        return ""
    kind = " class='grew'" if grew(values, measure) else ""
    words = f"{measure.name}: {shown(min(values))} to {shown(max(values))}"
    return f"<figure{kind}><figcaption>{escape(words)}</figcaption>{plot(values)}</figure>"


def plot(values: Sequence[float]) -> str:
    """A dot for each value, in their order, from zero to the highest."""
    top, step = max(*values, 1e-9), (WIDTH - 2 * EDGE) / max(len(values) - 1, 1)
    height = (HEIGHT - 2 * EDGE) / top
    dots = "".join(
        f"<circle r='2' cx='{EDGE + index * step:.1f}' cy='{HEIGHT - EDGE - value * height:.1f}'/>"
        for index, value in enumerate(values)
    )
    return f"<svg width='{WIDTH}' height='{HEIGHT}' role='img' aria-label='{len(values)} values'>{dots}</svg>"


def shown(value: float) -> str:
    """Bytes are large; all else is small."""
    return f"{value / MIB:.1f} MiB" if value > MIB else f"{value:g}"


def write_page(samples: Sequence[Sample], path: Path) -> None:
    """Write it."""
    path.write_text(page(samples))
