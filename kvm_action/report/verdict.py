"""What is said first: how the run ended, whose fault it is, what to do next, and the lines that prove it."""

from dataclasses import dataclass
from typing import Final

from kvm_action.errors import FailureClass
from kvm_action.results import CheckOutcome, Outcome, RunResult, StepName, StepOutcome
from kvm_action.signs import MARKS
from kvm_action.text import counted, plain, plain_line

EVIDENCE_LINES: Final = 40
EVIDENCE_WIDTH: Final = 500

_PLACES: Final = {
    FailureClass.PROVISION: "Your script",
    FailureClass.CHECK: "What your script left behind",
    FailureClass.IDEMPOTENCE: "Your script, run a second time",
    FailureClass.PLAN: "Your plan",
    FailureClass.HOST: "The host",
    FailureClass.IMAGE: "The base image",
    FailureClass.BOOT: "The machine",
    FailureClass.NETWORK: "The machine's network",
    FailureClass.CONNECTION: "The connection to the machine",
    FailureClass.INTERRUPTED: "Outside the run",
    FailureClass.BUG: "kvm-e2e itself",
}
_SMALL: Final = ("libvirt", "cloud-init", "kvm-e2e", "qemu", "mmdebstrap", "ssh")
"""Names that are written small even at the beginning of a sentence."""
_THEIRS: Final = (FailureClass.PROVISION, FailureClass.CHECK, FailureClass.IDEMPOTENCE)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The top of every report. All texts are plain and short; ``evidence`` is oldest line first."""

    outcome: Outcome
    word: str
    symbol: str
    headline: str
    place: str = ""
    """Where it broke: the script, the machine, the host. Empty when nothing did."""
    place_note: str = ""
    """What that means for the script under test."""
    hint: str = ""
    step: str = ""
    evidence: tuple[str, ...] = ()


def verdict(result: RunResult) -> Verdict:
    """The verdict over ``result``."""
    word, symbol = result.outcome.capitalize(), MARKS[result.outcome]
    failure = result.failure
    if failure is None:
        return Verdict(outcome=result.outcome, word=word, symbol=symbol, headline=_without_failure(result))
    theirs = failure.failure_class in _THEIRS
    stage = f"Its boot got as far as: {plain_line(failure.stage)}." if failure.stage else ""
    return Verdict(
        outcome=result.outcome,
        word=word,
        symbol=symbol,
        headline=_sentence(failure.message),
        place=_PLACES[failure.failure_class],
        place_note=" ".join(note for note in (stage, "" if theirs else _script_state(result)) if note),
        hint=plain_line(failure.hint),
        step=failure.step,
        evidence=lines(failure.evidence, EVIDENCE_LINES, EVIDENCE_WIDTH),
    )


def lines(raw: tuple[str, ...], most: int, width: int) -> tuple[str, ...]:
    """The last ``most`` lines of ``raw``, plain, each at most ``width`` characters."""
    split = [line for text in raw[-most:] for line in plain(text).split("\n")]
    return tuple(
        plain_line(line.expandtabs(), width) if len(line) > width else line.rstrip() for line in split[-most:]
    )


def _sentence(message: str) -> str:
    text = plain_line(message, 600)
    if text.startswith(_SMALL):
        return text
    return text[:1].upper() + text[1:] if text else "No reason was recorded"


def _without_failure(result: RunResult) -> str:
    if result.outcome is not Outcome.PASSED:
        return "It did not pass, and no reason was recorded"
    held = sum(check.outcome is CheckOutcome.PASSED for check in result.checks)
    if not result.checks:
        return "The script ran to its end; the plan asks for no checks"
    others = len(result.checks) - held
    if not others:
        checks = f"all {held} checks hold" if held != 1 else "the check holds"
    else:
        checks = f"{counted(held, 'check')} {'hold' if held != 1 else 'holds'}, {others} skipped"
    return f"The script ran to its end and {checks}"


def _script_state(result: RunResult) -> str:
    """Whether the script under test had a part in it."""
    ended = {step.name: step.outcome for step in result.steps}
    match ended.get(StepName.PROVISION):
        case None | StepOutcome.SKIPPED:
            return "Your script had not started, so it is not to blame."
        case StepOutcome.PASSED:
            return "Your script had already run to its end."
        case _:
            return "Your script was running at that moment."
