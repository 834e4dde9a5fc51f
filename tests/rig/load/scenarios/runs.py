"""Runs that pass: each way to start, what the result must say, and how the machine stands on its network."""

import json
import re
from pathlib import Path
from typing import Any

from scenarios.place import Place, qemu_processes, require
from scenarios.tool import HELLO, QUIET, Run, call, start


def doctor(place: Place) -> str:
    """No problem, and KVM proved by a guest that ran."""
    asked = call(place, "doctor", "--accel", "kvm", "--json", may_exit=(0, 3))  # 3: it has a problem, told below
    found = {each["subject"]: each for each in json.loads(asked)}
    problems = [f"{each['subject']}: {each['seen']}" for each in found.values() if each["level"] == "problem"]
    require(not problems, "; ".join(problems))
    guest = found["KVM guest"]
    require(guest["level"] == "ok", guest["seen"])
    warnings = [subject for subject, each in found.items() if each["level"] == "warning"]
    return f"KVM guest: {guest['seen']}; no problem; warnings of {', '.join(warnings) or 'nothing'}"


def boot(place: Place) -> str:
    """The example by booting, with both snapshots; in the system, how QEMU is confined."""
    stand = ""
    with start(place, "boot", HELLO, "boot") as run:
        if place.name == "system":
            run.wait_for_step("copy")
            stand = f"; {confinement(run)}; {address(place, run)}"
        result = run.passed("boot")
    return f"{told(result)}; {snapshots(result)}{stand}"


def template(place: Place) -> str:
    """The first start from a template makes it."""
    return told(passed(place, "template", HELLO, place.warm))


def template_again(place: Place) -> str:
    """The second one finds it. Twice: the example with all its checks, and a run that does nothing."""
    first = passed(place, "template-again", HELLO, place.warm)
    require("made before" in first["start"]["reason"], first["start"])
    second = passed(place, "template-quiet", QUIET, place.warm)
    return f"{told(first)}; {snapshots(first)}; doing nothing, {told(second)}"


def restore(place: Place) -> str:
    """From a state that is read whole: made for the first, there for the second."""
    passed(place, "restore", QUIET, "restore")
    result = passed(place, "restore-again", HELLO, "restore")
    require("made before" in result["start"]["reason"], result["start"])
    return f"{told(result)}; {snapshots(result)}"


def passed(place: Place, name: str, plan: Path, way: str) -> dict[str, Any]:
    """A run to its end, which must be a good one; its result."""
    with start(place, name, plan, way) as run:
        return run.passed(way)


def told(result: dict[str, Any]) -> str:
    """A passed run in a line."""
    clock = result["start"].get("clock_difference")
    steps = {name: sum(s["seconds"] for s in result["steps"] if s["name"] == name) for name in USABLE}
    return (
        f"{result['start']['mode']}, usable after {sum(steps.values()):.1f} s, {result['seconds']:.1f} s in all, "
        f"{len(result['checks'])} checks passed" + (f", clock off by {clock:.3f} s" if clock is not None else "")
    )


USABLE = ("launch", "network", "ssh")
"""The steps from nothing to a session."""


def snapshots(result: dict[str, Any]) -> str:
    """Both were taken and are verified."""
    found = {each["name"]: each for each in result["snapshots"]}
    skipped = [step["detail"] for step in result["steps"] if step["name"] == "snapshot" and step["detail"]]
    require(set(found) == {"clean-boot", "provisioned"}, f"snapshots {sorted(found)}: {skipped}")
    require(all(each["verified"] for each in found.values()), f"not verified: {result['snapshots']}")
    return f"clean-boot and provisioned verified ({found['provisioned']['method']})"


def confinement(run: Run) -> str:
    """AppArmor holds the QEMU of the run in its own profile."""
    [pid] = qemu_processes(run.id)
    label = Path(f"/proc/{pid}/attr/current").read_text().strip().strip("\0")
    require(re.fullmatch(r"libvirt-[0-9a-f-]{36} \(enforce\)", label), f"QEMU's label is {label!r}")
    user = Path(f"/proc/{pid}").owner()
    require(user == "libvirt-qemu", f"QEMU runs as {user}")
    return f"QEMU is {user}'s, in {label}"


def address(place: Place, run: Run) -> str:
    """libvirt's DHCP gave the machine its address."""
    leases = place.virsh("net-dhcp-leases", place.network)
    macs = re.findall(r"mac address='([0-9a-f:]+)'", place.virsh("dumpxml", f"kvm-e2e-{run.id}"))
    found = [line.split() for line in leases.splitlines() if any(mac in line for mac in macs)]
    require(found, f"no lease of {macs}: {leases}")
    return f"lease {found[0][4]} on {place.network}"
