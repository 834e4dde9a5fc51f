"""Keeping a machine after its run: a lease with an end, and a record that tells where the machine came from."""

import json
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from kvm_action.guest import SshAccess
from kvm_action.hypervisor.definitions import refit
from kvm_action.hypervisor.domain import Domain
from kvm_action.images.model import Image
from kvm_action.leases import KEPT_FOR
from kvm_action.plan.model import Plan
from kvm_action.runs import RunFolder
from kvm_action.whole_file import write_whole

FILE: Final = "machine.json"


@dataclass(frozen=True, kw_only=True)
class KeptRecord:
    """One machine. ``out``: where its run's report is; ``key``: the public key that the run put in."""

    run: str
    plan: str
    image: str
    image_sha256: str
    image_os: str
    firmware: str
    accel: str
    network: str
    user: str
    key: str
    out: str


def record_of(run: str, plan: Plan, image: Image, *, accel: str, key: str, out: Path) -> KeptRecord:
    """The record of a run's machine."""
    return KeptRecord(
        run=run,
        plan=plan.name,
        image=image.name,
        image_sha256=image.sha256,
        image_os=image.os,
        firmware=plan.machine.firmware,
        accel=accel,
        network=plan.machine.network,
        user=plan.user.name,
        key=key,
        out=str(out),
    )


def keep_machine(folder: RunFolder, domain: Domain, record: KeptRecord, access: SshAccess | None) -> str:
    """Let machine and folder outlive the run for some hours; says how to reach and how to end the machine."""
    until = datetime.now(UTC) + KEPT_FOR
    lease = replace(folder.lease, kept_until=until)
    write_record(folder.path, record)
    refit(domain, lease.to_json())
    folder.renew(lease)
    domain.keep(lease.to_json())  # the last: what fails before leaves no machine without a folder
    folder.keep = True
    reach = f"ssh -F {access.config} {access.host}" if access else f"kvm-e2e vm console {record.run}"
    return f"kept {domain.name} until {until:%H:%M} UTC: {reach}; `kvm-e2e vm destroy {record.run}` ends it"


def write_record(folder: Path, record: KeptRecord) -> None:
    """Into the run's folder."""
    write_whole(folder / FILE, json.dumps(asdict(record), indent=1) + "\n")


def read_record(folder: Path) -> KeptRecord:
    """The record; fields that are missing, as in an older version's folder, are empty."""
    try:
        values = json.loads((folder / FILE).read_text())
    except (OSError, ValueError):
        values = {}
    found = values if isinstance(values, dict) else {}
    return KeptRecord(**{field.name: str(found.get(field.name, "")) for field in fields(KeptRecord)})
