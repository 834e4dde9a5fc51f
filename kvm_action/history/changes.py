"""What is different between two runs, and between the newest and the last green one before it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from kvm_action.history.record import Record
from kvm_action.history.store import PACKAGES, History

MOST_PACKAGES: Final = 30


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing that is not as it was. ``before``/``after`` are short; empty: it was not there."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class SinceGreen:
    """A run against the last green one of its plan and backend before it (None: there is none)."""

    run: Record
    green: Record | None
    differences: tuple[Difference, ...]
    more_packages: int = 0
    """Packages that changed besides those that are listed."""
    unknown: tuple[str, ...] = ()
    """What one of the two runs did not note, so that it may have changed."""


def last_green_before(run: Record, records: Sequence[Record]) -> Record | None:
    """The newest green run of the same plan, backend and image (if ``run`` has one) that started before it."""
    for record in reversed(records):
        if record.key == run.key or record.started_at > run.started_at or not record.is_green:
            continue
        if (record.plan, record.backend) == (run.plan, run.backend) and run.image in (record.image, ""):
            return record
    return None


def since_green(history: History, run: Record, records: Sequence[Record]) -> SinceGreen:
    """What changed between ``run`` and the last green run before it."""
    return since(history, run, last_green_before(run, records))


def since(history: History, run: Record, green: Record | None) -> SinceGreen:
    """What changed between ``run`` and ``green``."""
    if green is None:
        return SinceGreen(run=run, green=None, differences=())
    packages, unknown = _packages(history, green, run), []
    found = []
    for what, facet in _FACETS.items():
        before, after = facet(green), facet(run)
        if what == "commit" and not before and not after:
            continue  # neither was run by a workflow
        if not before or not after:
            unknown.append(what)
        elif before != after:
            found.append(Difference(what=what, before=before, after=after))
    if packages is None:
        unknown.append("packages")
    listed = list(islice(packages or (), MOST_PACKAGES))
    return SinceGreen(
        run=run,
        green=green,
        differences=(*found, *listed),
        more_packages=len(packages or ()) - len(listed),
        unknown=tuple(unknown),
    )


_FACETS: Final[dict[str, Callable[[Record], str]]] = {
    "commit": lambda run: run.commit[:12],
    "script": lambda run: run.script_digest[:12],
    "plan": lambda run: run.plan_digest[:12],
    "image": lambda run: f"{run.image} {run.image_sha256[:12]}" if run.image else "",
    "guest kernel": lambda run: run.guest_kernel,
    "accel": lambda run: run.accel,
    "start": lambda run: run.start_mode,
    "QEMU": lambda run: run.hypervisor,
    "libvirt": lambda run: run.libvirt,
    "host kernel": lambda run: run.host_kernel,
    "host": lambda run: run.machine,
    "kvm-e2e": lambda run: run.tool_version,
}


def _packages(history: History, before: Record, after: Record) -> tuple[Difference, ...] | None:
    """Packages that came, went, or have another version; None when one of the lists was not kept."""
    if before.packages and before.packages == after.packages:
        return ()
    old, new = _versions(history, before.packages), _versions(history, after.packages)
    if old is None or new is None:
        return None
    return tuple(
        Difference(what=f"package {name}", before=old.get(name, ""), after=new.get(name, ""))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    )


def _versions(history: History, name: str) -> dict[str, str] | None:
    path = history.kept(PACKAGES, name)
    if path is None:
        return None
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return {package: version for package, _, version in (line.partition(" ") for line in lines)}
