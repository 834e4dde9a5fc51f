"""Plans from files: read, override, check, and name the place of every mistake. Nothing is started here."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from kvm_action.errors import PlanError
from kvm_action.plan.explain import lookup, problems_of
from kvm_action.plan.model import Plan
from kvm_action.plan.overrides import override
from kvm_action.plan.problem import KeyPath, Problem, SourceError, Span
from kvm_action.plan.render import invalid_plan
from kvm_action.plan.schema import is_secret, wants_text
from kvm_action.plan.source import Source, parse

MAX_BYTES: Final = 1 << 20
_FILE_KEYS: Final[dict[KeyPath, str]] = {
    ("files", "from"): "file or folder",
    ("checks", "testinfra"): "file",
    ("checks", "testinfra", "path"): "file",
}
_NEARLY: Final = 0.7
"""Of 1: all names end in .yml, which makes any two a little alike."""
_SMALLEST: Final = "The smallest plan is: provision: {run: ./install.sh}"


@dataclass(frozen=True)
class LoadedPlan:
    """A plan and the file it came from. ``digest`` is a sha256 of its canonical form, defaults in, secrets out."""

    plan: Plan
    path: Path
    digest: str
    source: Source = field(repr=False, compare=False)

    @property
    def folder(self) -> Path:
        """What the plan's relative paths are relative to."""
        return self.path.parent

    def resolve(self, path: Path) -> Path:
        """A file that the plan names, on this host."""
        return self.folder / path

    def position(self, path: KeyPath) -> tuple[int, int]:
        """Line and column (from 1) of the value at ``path``, such as ``("checks", 3)``, or of what is around."""
        span = self.source.span(path)
        return (1, 1) if span.argument else (span.line, span.column)


def load_plan(path: Path, overrides: Sequence[str] = ()) -> LoadedPlan:
    """The plan in ``path``, with ``overrides`` (``machine.memory=8GiB``) applied.

    Raises PlanError when there is no such file or it is none that can be read, and InvalidPlanError, which
    points at every mistake, when the plan is wrong.
    """
    text = _read(path)
    try:
        source = parse(text)
    except SourceError as error:
        raise invalid_plan(path, text, Source(problems=[error.problem])) from error
    for argument in overrides:
        override(source, argument, is_text=wants_text, is_secret=is_secret)
    plan = _validated(source, path)
    source.problems += _missing_files(source, path.parent)
    if source.problems or not plan:
        raise invalid_plan(path, text, source)
    return LoadedPlan(plan, path, digest(plan), source)


def mistake_in(argument: str) -> str:
    """What is wrong with an override (``machine.memory=8``) whatever the plan is; empty when nothing is."""
    source = parse("provision: {run: x}")
    override(source, argument, is_text=wants_text, is_secret=is_secret)
    _validated(source, Path())
    return "; ".join(problem.message for problem in source.problems)


def digest(plan: Plan) -> str:
    """sha256 of the plan as canonical JSON. Secrets are left out: a digest of a short password gives it away."""
    document = plan.model_dump(mode="json", by_alias=True)
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode()).hexdigest()


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise PlanError(f"there is no plan {path}", _similar(path)) from error
    except IsADirectoryError as error:
        raise PlanError(f"{path} is a folder, not a plan", _similar(path / "plan.yml")) from error
    except OSError as error:
        raise PlanError(f"could not read {path}: {error.strerror}", "Give a file you may read.") from error
    if len(data) > MAX_BYTES:
        raise PlanError(f"{path} is larger than 1 MiB, which no plan is", "Is this the right file?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise PlanError(f"{path}:{line}: this is not UTF-8 text", "Save the plan as UTF-8.") from error


def _similar(path: Path) -> str:
    """A hint that names the plan that was probably meant."""
    try:
        plans = sorted(file.name for pattern in ("*.yml", "*.yaml") for file in path.parent.glob(pattern))
    except OSError:
        plans = []
    close = get_close_matches(path.name, plans, n=1, cutoff=_NEARLY)
    return f"Did you mean {path.with_name(close[0])}?" if close else _SMALLEST


def _validated(source: Source, path: Path) -> Plan | None:
    if not isinstance(source.data, dict):
        found = "it is empty" if source.data is None else "it is no mapping of keys"
        source.problems.append(Problem(Span(1, 1), f"this is no plan: {found}", _SMALLEST))
        return None
    try:
        plan = Plan.model_validate_json(json.dumps(source.data), by_alias=True, by_name=False)
    except ValidationError as error:
        source.problems += list(problems_of(error, source))
        return None
    return plan if plan.name else plan.model_copy(update={"name": _name(path)})


def _name(path: Path) -> str:
    """The file's name or, if that is just ``plan``, its folder's."""
    path = path.absolute()
    name = path.parent.name if path.stem == "plan" else path.stem
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:63] or "plan"


def _missing_files(source: Source, folder: Path) -> Iterator[Problem]:
    """Looks at the data, so that a plan with other mistakes is told about its files as well."""
    for path in source.raw:
        what, wanted = _FILE_KEYS.get(path[:1] + path[2:]), lookup(source.data, path)
        if what and isinstance(wanted, str) and wanted and not _is_there(folder / wanted, what):
            message = f"there is no {what} {wanted} in the plan's folder, {folder.absolute()}"
            yield Problem(source.span(path), message, _similar_name(folder / wanted), path)


def _is_there(path: Path, what: str) -> bool:
    try:
        return path.is_file() if what == "file" else path.exists()
    except (OSError, ValueError):  # a name too long, a folder that is not ours to read, a zero byte
        return False


def _similar_name(path: Path) -> str:
    try:
        names = [file.name for file in path.parent.iterdir()]
    except (OSError, ValueError):  # as in `_is_there`
        return "Paths of this host are relative to the plan's folder."
    close = get_close_matches(path.name, names, n=1)
    return f"Did you mean {close[0]}?" if close else "Paths of this host are relative to the plan's folder."
