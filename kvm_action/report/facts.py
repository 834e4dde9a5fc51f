"""The facts of a run as labelled lines: what was used, what it cost, how to do it again."""

from collections.abc import Iterable
from dataclasses import dataclass
from shlex import quote
from typing import Final

from kvm_action.results import CheckOutcome, GuestInfo, HostInfo, Outcome, RunResult
from kvm_action.text import plain_line
from kvm_action.units import format_seconds, format_size

_WIDTH: Final = 300


@dataclass(frozen=True)
class Fact:
    """A label and its value."""

    label: str
    value: str


@dataclass(frozen=True)
class FactGroup:
    """Facts about one thing; never empty."""

    title: str
    facts: tuple[Fact, ...]


def fact_groups(result: RunResult) -> tuple[FactGroup, ...]:
    """The run, the machine, the host, the image; without what is not known."""
    image, start, accel = result.image, result.start, result.accel
    machine = (
        ("Backend", result.backend),
        ("Acceleration", _with_reason(accel.name, accel.reason) if accel else ""),
        ("Started by", _with_reason(start.mode, start.reason) if start else ""),
        ("Image", image.name if image else ""),
        ("Image sha256", image.sha256 if image else ""),
    )
    run = (
        ("Plan", result.plan.name),
        ("Plan file", result.plan.path),
        ("Plan sha256", result.plan.digest),
        ("Run", result.id),
        ("Started", f"{result.started_at:%Y-%m-%d %H:%M:%S %Z}".strip()),
        ("kvm-e2e", result.tool_version),
        ("Its own memory", _size(result.measures.tool_memory_peak_bytes)),
    )
    groups = (
        _group("Machine", machine),
        _group("Guest", _guest(result.guest)),
        _group("Host", _host(result.host)),
        _group("Run", run),
        _group("Not testable here", ((each.what, each.why) for each in result.not_testable)),
    )
    return tuple(group for group in groups if group.facts)


def numbers(result: RunResult) -> tuple[Fact, ...]:
    """The few numbers that a reader compares between runs."""
    cost = result.measures
    return _group(
        "",
        (
            ("Checks that hold", _held(result)),
            ("Total time", format_seconds(result.seconds)),
            ("Script", _seconds(cost.provision_seconds)),
            ("Overhead", _seconds(cost.overhead_seconds)),
            ("Guest memory", _size(cost.memory_peak_bytes)),
            ("Disk written", _size(cost.disk_bytes)),
        ),
    ).facts


def command(result: RunResult) -> str:
    """The command line that does this run again, on the reader's own machine."""
    words = ["kvm-e2e", "run", plain_line(result.plan.path) or "plan.yml", "--backend", result.backend]
    if result.image and not result.image.name.endswith((".qcow2", ".raw", ".img")):  # a file's name is no path
        words += ["--image", plain_line(result.image.name)]
    if result.accel and result.accel.name in ("kvm", "tcg"):
        words += ["--accel", result.accel.name]
    if result.start:
        words += ["--start", result.start.mode]
    if result.outcome is not Outcome.PASSED:
        words += ["--keep", "on-failure"]
    return " ".join(quote(word) for word in words)


def _group(title: str, pairs: Iterable[tuple[str, str]]) -> FactGroup:
    return FactGroup(title, tuple(Fact(label, plain_line(value, _WIDTH)) for label, value in pairs if value))


def _guest(guest: GuestInfo | None) -> tuple[tuple[str, str], ...]:
    if guest is None:
        return ()
    return (
        ("System", guest.os),
        ("Kernel", guest.kernel),
        ("Host name", guest.hostname),
        ("Address", guest.address),
    )


def _host(host: HostInfo | None) -> tuple[tuple[str, str], ...]:
    if host is None:
        return ()
    return (
        ("System", host.os),
        ("Kernel", host.kernel),
        ("Processor", f"{host.cpu}, {host.cpus} CPUs" if host.cpu and host.cpus else host.cpu),
        ("Memory", format_size(host.memory_bytes) if host.memory_bytes else ""),
        ("Hypervisor", host.hypervisor),
        ("libvirt", host.libvirt),
        ("Fingerprint", host.fingerprint),
    )


def _held(result: RunResult) -> str:
    held = sum(check.outcome is CheckOutcome.PASSED for check in result.checks)
    return f"{held} of {len(result.checks)}" if result.checks else ""


def _with_reason(name: str, reason: str) -> str:
    return f"{name} ({reason})" if reason else name


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else format_seconds(seconds)


def _size(count: int | None) -> str:
    return "" if count is None else format_size(count)
