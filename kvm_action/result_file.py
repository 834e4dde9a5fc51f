"""result.json: a `RunResult` as JSON and back, nothing else. It knows no machine, no plan and no report.

In JSON ``Failure.failure_class`` is called ``class``; dates are ISO 8601 in UTC.
"""

import json
import os
import re
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from kvm_action.errors import PlanError
from kvm_action.results import SCHEMA, RunResult
from kvm_action.whole_file import ANOTHER_OUT, write_whole

_SCHEMA: Final = re.compile(r"kvm-e2e/result/v(\d+)")
_LARGEST: Final = 1e15
_AGAIN: Final = "Run the plan again, or leave this result out."
_HINT: Final = "Give the result.json of a run's output folder."


def dumps(result: RunResult) -> str:
    """``result`` as indented JSON with a line end. Text that is no valid Unicode is replaced by question marks."""
    document = asdict(result)
    if failure := document["failure"]:
        document["failure"] = {"class": failure.pop("failure_class"), **failure}
    document = {"schema": document.pop("schema"), **document}
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False, default=_iso)
    return text.encode("utf-8", "replace").decode() + "\n"


def write(result: RunResult, path: Path) -> None:
    """Write ``result`` to ``path``: whole or not at all, so that a reader never meets half a file.

    Raises HostError when the host does not let us (no space, no permission).
    """
    write_whole(path, dumps(result), ANOTHER_OUT)


def read(path: Path) -> RunResult:
    """The result in ``path``. Raises PlanError when it cannot be read, is none, is damaged, or newer than us."""
    try:
        return loads(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise PlanError(f"could not read {path}: {error.strerror}", _HINT) from error
    except UnicodeDecodeError as error:
        raise PlanError(f"{path} is not a result: it is not text (UTF-8)", _HINT) from error


def below(folder: Path) -> tuple[Path, ...]:
    """The result.json of each run whose folder is ``folder`` or lies in it; nothing from inside a run's folder."""
    found: list[Path] = []
    for here, folders, files in os.walk(folder):
        if "result.json" in files:
            found.append(Path(here, "result.json"))
        if {"result.json", "events.jsonl"} & {*files}:
            folders.clear()  # a run's: what is deeper came out of its guest
    return tuple(sorted(found))


def loads(text: str, source: str = "result") -> RunResult:
    """The result in ``text``; ``source`` names it in errors (PlanError). Keys we do not know are left out."""
    return from_document(_document(text, source), source)


def from_document(document: dict[str, Any], source: str) -> RunResult:
    """The result in a ``document`` of the schema that this version writes. Raises PlanError when it is damaged."""
    failure = document.get("failure")
    if isinstance(failure, dict) and "class" in failure:
        document = {**document, "failure": {**failure, "failure_class": failure["class"]}}
    try:
        # Strict: a text such as "inf" is no number. As JSON, since only there dates and words of ours are texts.
        result = _adapter().validate_json(json.dumps(document, allow_nan=False), strict=True)
    except ValidationError as error:
        raise PlanError(f"{source} is damaged: {_first(error)}", _AGAIN) from error
    except (ValueError, RecursionError) as error:
        raise PlanError(f"{source} is damaged: {error}", _AGAIN) from error
    _require_dates(result, source)
    return result


def _require_dates(result: RunResult, source: str) -> None:
    """Dates with a time zone, far from where the calendar of Python ends."""
    dates = (result.started_at, *(s.started_at for s in result.steps), *(s.created for s in result.snapshots))
    for date in dates:
        if date.tzinfo is None or not 1970 <= date.year <= 9000:
            raise PlanError(f"{source} is damaged: {date.isoformat()} is no date of a run in UTC", _AGAIN)


@cache
def _adapter() -> TypeAdapter[RunResult]:
    return TypeAdapter(RunResult)


def _document(text: str, source: str) -> dict[str, Any]:
    try:
        document = json.loads(text, parse_float=_finite, parse_int=_whole, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise PlanError(f"{source} is not a result: it is not JSON ({error})", _HINT) from error
    if not isinstance(document, dict):
        raise PlanError(f"{source} is not a result: it is not a JSON object", _HINT)
    _known_schema(document.get("schema"), source)
    return document


def _known_schema(schema: object, source: str) -> None:
    match = _SCHEMA.fullmatch(schema) if isinstance(schema, str) else None
    if not match:
        raise PlanError(f'{source} is not a result of kvm-e2e: its "schema" is not {SCHEMA}', _HINT)
    if schema != SCHEMA:
        raise PlanError(
            f"{source} was written by another version of kvm-e2e: schema {schema}; this one reads {SCHEMA}",
            "Update kvm-e2e to the version that wrote it.",
        )


def _finite(text: str) -> float:
    """Python's reader takes NaN, Infinity and 1e999; nothing that we measure comes near. Raises ValueError."""
    number = float(text)
    if not abs(number) <= _LARGEST:
        raise ValueError(f"{text[:20]} is no number")
    return number


def _whole(text: str) -> int:
    """The same for whole numbers. Raises ValueError."""
    _finite(text)
    return int(text)


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}"


def _iso(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    raise TypeError(f"no JSON for {type(value).__name__}")
