"""The inputs of the action, read from text to values; all mistakes in them are told at once. It runs nothing."""

import json
import os
import re
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

from kvm_action.errors import PlanError
from kvm_action.plan.load import mistake_in
from kvm_action.plan.model import Accel, BackendName, Keep, StartMode
from kvm_action.plan.schema import is_secret
from kvm_action.text import plain_line
from kvm_action.units import parse_duration
from kvm_action.workflow.job import legal_name

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

VARIABLE: Final = "KVM_E2E_INPUTS"
"""All inputs as one JSON object: no list of variables to keep, and nothing that a shell could read."""
NAMES: Final = (
    *("plan", "image", "backend", "accel", "start", "memory", "cpus", "timeout", "keep", "set", "out"),
    *("working-directory", "upload", "artifact-name", "retention-days", "check-run", "check-name"),
    *("github-token", "history", "history-branch", "summary"),
)
MOST_DAYS: Final = 400
"""GitHub's own limit for private repositories; a repository may allow less."""


class Upload(StrEnum):
    """What goes into the artifact."""

    REPORT = "report"
    SNAPSHOTS = "snapshots"
    NOTHING = "nothing"


class CheckRunWish(StrEnum):
    """Shall there be a check run? With ``auto`` its absence is only a line in the log."""

    AUTO = "auto"
    TRUE = "true"
    FALSE = "false"


class HistoryWish(StrEnum):
    """Where the result is kept besides the artifact."""

    NONE = "none"
    BRANCH = "branch"


class Flag(StrEnum):
    """Yes or no."""

    TRUE = "true"
    FALSE = "false"


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The inputs as values. ``None`` and empty texts leave the decision to the plan or the tool."""

    plan: Path
    overrides: tuple[str, ...]
    image: str | None
    backend: BackendName
    accel: Accel
    start: StartMode
    timeout: timedelta | None
    keep: Keep | None
    out: Path | None
    working_directory: Path
    upload: frozenset[Upload]
    artifact_name: str
    retention_days: int
    check_run: CheckRunWish
    check_name: str
    token: str = field(repr=False)
    history: HistoryWish
    history_branch: str
    summary: bool


def take_texts(environ: MutableMapping[str, str]) -> dict[str, str]:
    """The inputs as GitHub handed them over, taken out of ``environ``: no program that we start sees the token."""
    try:
        found = json.loads(environ.pop(VARIABLE, "{}"))
    except ValueError as error:
        raise PlanError(
            f"{VARIABLE} is not JSON ({error})", "action.yml sets it; call the action instead"
        ) from error
    return {str(name): "" if value is None else str(value) for name, value in found.items()}


def wants_summary(texts: Mapping[str, str]) -> bool:
    """May the job's summary be written into? Known also when other inputs are wrong."""
    return texts.get("summary", "").strip().lower() != Flag.FALSE


def read_inputs(texts: Mapping[str, str]) -> Inputs:
    """The inputs. Raises PlanError, which names every mistake."""
    reader = Reader(texts)
    inputs = Inputs(
        plan=Path(reader.take("plan", _plan, "plan.yml")),
        overrides=_overrides(reader),
        image=reader.take("image", str, "") or None,
        backend=reader.take("backend", _choice(BackendName), BackendName.KVM),
        accel=reader.take("accel", _choice(Accel), Accel.AUTO),
        start=reader.take("start", _choice(StartMode), StartMode.AUTO),
        timeout=reader.take("timeout", _duration, None),
        keep=reader.take("keep", _choice(Keep), None),
        out=reader.take("out", Path, None),
        working_directory=reader.take("working-directory", _folder, Path()),
        upload=reader.take("upload", _uploads, frozenset({Upload.REPORT, Upload.SNAPSHOTS})),
        artifact_name=reader.take("artifact-name", legal_name, ""),
        retention_days=reader.take("retention-days", _days, 0),
        check_run=reader.take("check-run", _choice(CheckRunWish), CheckRunWish.AUTO),
        check_name=reader.take("check-name", plain_line, ""),
        token=reader.take("github-token", str, ""),
        history=reader.take("history", _choice(HistoryWish), HistoryWish.NONE),
        history_branch=reader.take("history-branch", _branch, "kvm-e2e-history"),
        summary=reader.take("summary", _choice(Flag), Flag.TRUE) is Flag.TRUE,
    )
    reader.check()
    return inputs


@dataclass
class Reader:
    """Takes one input after the other and remembers the mistakes."""

    texts: Mapping[str, str]
    problems: list[str] = field(default_factory=list)

    def take(self, name: str, parse: Callable[[str], T], default: T | None) -> T:
        """The value of ``name``; ``default`` when it is empty, and, for now, when it is wrong."""
        text = self.texts.get(name, "").strip()
        try:
            return parse(text) if text else default  # type: ignore[return-value] # T is optional where None is given
        except ValueError as error:
            self.problems.append(f"{name}: expected {error}, found {plain_line(text, 100)!r}")
            return default  # type: ignore[return-value] # `check` raises before it is used

    def check(self) -> None:
        """Raise PlanError if there was a mistake."""
        if self.problems:
            several = len(self.problems) > 1
            head = f"{len(self.problems)} inputs of the action are wrong" if several else "an input is wrong"
            raise PlanError(
                "\n".join([f"{head}:", *self.problems]) if several else f"{head}: {self.problems[0]}",
                "The action's reference lists every input with its values.",
            )


def _overrides(reader: Reader) -> tuple[str, ...]:
    """``memory`` and ``cpus`` are short for two keys of the plan; ``set`` has one ``KEY=VALUE`` a line.

    Of those lines, what needs the plan to be judged is judged with it.
    """
    short = [_of_machine(reader, key) for key in ("memory", "cpus")]
    lines = [_line(text) for text in re.split(r"\r?\n", reader.texts.get("set", "")) if text.strip()]
    if any("=" not in line for line in lines):
        reader.problems.append("set: expected KEY=VALUE in each line, found one without =")
    return (*(argument for argument in short if argument), *lines)


def _of_machine(reader: Reader, key: str) -> str:
    text = reader.take(key, str, "")
    argument = f"machine.{key}={text}" if text else ""
    if argument and (mistake := mistake_in(argument)):
        reader.problems.append(f"{key}: {mistake}")
    return argument


def _line(text: str) -> str:
    """Without the blanks around it; but of a secret those at its end are a part."""
    names = text.partition("=")[0].strip().split(".")
    path = tuple(int(name) if name.isdecimal() else name for name in names)
    return text.lstrip() if is_secret(path) else text.strip()


def _choice(kind: type[E]) -> Callable[[str], E]:
    def parse(text: str) -> E:
        try:
            return kind(text.lower())
        except ValueError:
            values = [member.value for member in kind]
            close = get_close_matches(text.lower(), values, n=1)
            meant = f" (did you mean {close[0]}?)" if close else ""
            raise ValueError(f"{', '.join(values[:-1])} or {values[-1]}{meant}") from None

    return parse


def _uploads(text: str) -> frozenset[Upload]:
    words = text.replace(",", " ").split()
    chosen = frozenset(_choice(Upload)(word) for word in words)
    if Upload.NOTHING in chosen and len(chosen) > 1:
        raise ValueError("nothing, or a list of report and snapshots")
    return chosen - {Upload.NOTHING}


def _plan(text: str) -> str:
    if "\0" in text or "\n" in text:
        raise ValueError("the path of one plan")
    return text


def _folder(text: str) -> Path:
    folder = Path(text)
    if not folder.is_dir() or not os.access(folder, os.X_OK):
        raise ValueError("a folder of the workspace")
    return folder


def _duration(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError:
        raise ValueError("a duration of a second or more, such as 30m or 1h30m") from None


def _days(text: str) -> int:
    if not text.isdecimal() or int(text) > MOST_DAYS:
        raise ValueError(f"a number of days from 0 (the repository's own) to {MOST_DAYS}")
    return int(text)


def _branch(text: str) -> str:
    """git-check-ref-format(1), in what matters here."""
    bad = set(text) & set(" ~^:?*[\\") or not text.isprintable()
    if bad or text.startswith(("-", "/")) or text.endswith(("/", ".", ".lock")) or ".." in text or "//" in text:
        raise ValueError("the name of a branch")
    return text
