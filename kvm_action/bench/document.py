"""A bench as documents: bench.json, CSV, and what github-action-benchmark reads. Pure."""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from math import isinf
from typing import Final

from kvm_action.bench.rows import ROWS, values_of
from kvm_action.bench.samples import Bench, Kind, Sample, Series, contrasts, kind_of

SCHEMA: Final = "kvm-e2e/bench/v1"
_ORDER: Final = ("number", "backend", "accel", "start", "fingerprint", "warmup", "outcome", "load", "folder")


def to_json(bench: Bench) -> str:
    """Everything: raw samples, series, comparisons."""
    document = {
        "schema": SCHEMA,
        "id": bench.id,
        "plan": {"name": bench.plan, "digest": bench.digest},
        "started_at": bench.started_at,
        "seconds": bench.seconds,
        "overhead_seconds": bench.overhead_seconds,
        "rows": [{"key": row.key, "title": row.title, "unit": row.unit, "says": dict(row.says)} for row in ROWS],
        "missing": [asdict(each) for each in bench.missing],
        "samples": [_sample(each) for each in bench.samples],
        "series": [_series(each) for each in bench.series],
        "comparisons": [_plain(asdict(each)) for each in contrasts(bench.series)],
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _sample(sample: Sample) -> dict[str, object]:
    result = sample.result
    return {
        "number": sample.number,
        "warmup": sample.warmup,
        "counts": sample.counts,
        "outcome": result.outcome,
        "folder": sample.folder,
        "load": list(sample.load),
        "kind": asdict(kind_of(result)),
        "host": asdict(result.host) if result.host else None,
        "values": values_of(result),
    }


def _series(series: Series) -> dict[str, object]:
    summaries = {row: series.summary(row) for row in series.values}
    return {
        "kind": asdict(series.kind),
        "count": series.count,
        "rows": {row: asdict(summary) for row, summary in summaries.items() if summary},
    }


def _plain(value: object) -> object:
    """JSON has no infinity: a change from nothing to something is null."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return None if isinstance(value, float) and isinf(value) else value


def to_csv(bench: Bench) -> str:
    """A line for each sample, warm-ups included: what it was, then its value in every row."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*_ORDER, *(f"{row.key}_{row.unit}" for row in ROWS)])
    for sample in bench.samples:
        kind, values = kind_of(sample.result), values_of(sample.result)
        what = (
            *(sample.number, kind.backend, kind.accel, kind.start, kind.fingerprint, int(sample.warmup)),
            *(sample.result.outcome, sample.load[0], sample.folder),
        )
        writer.writerow([*what, *(values.get(row.key, "") for row in ROWS)])
    return out.getvalue()


def to_smaller_is_better(bench: Bench) -> str:
    """The input of github-action-benchmark's tool ``customSmallerIsBetter``."""
    entries = [
        {
            "name": f"{bench.plan}: {row.title}, {_full_name(series.kind)}",
            "unit": row.unit,
            "value": summary.median,
            "range": f"± {summary.mad:.3g}",
            "extra": f"n = {summary.count}, median within {summary.low:.4g} … {summary.high:.4g} "
            f"({100 * summary.confidence:.0f} %)",
        }
        for series in bench.series
        for row in ROWS
        if (summary := series.summary(row.key))
    ]
    return json.dumps(entries, indent=2, ensure_ascii=False) + "\n"


def _full_name(kind: Kind) -> str:
    return f"{kind} on {kind.fingerprint}"
