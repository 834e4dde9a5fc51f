"""Machines side by side, and runs that are ended from outside."""

import json
import signal
from contextlib import ExitStack
from time import monotonic

from scenarios.place import Place, require, wait_for
from scenarios.tool import QUIET, call, seconds_since, start

IDENTITY = """
cat /etc/machine-id; hostname; cat /sys/class/net/e*/address; cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub
cat /proc/sys/kernel/random/uuid; od -An -N16 -tx1 /dev/urandom | tr -d ' '
"""
FACTS = ("machine id", "host name", "MAC", "SSH host key", "random UUID", "random bytes")
LONG = ("--set", "provision.run=sleep 1200")


def clones(place: Place) -> str:
    """Two machines of one template, running at the same time, share nothing that must differ."""
    with ExitStack() as stack:
        stack.callback(call, place, "vm", "destroy", "--all")
        runs = [
            stack.enter_context(start(place, f"clone-{n}", QUIET, place.warm, "--keep", "always")) for n in (1, 2)
        ]
        for run in runs:
            run.passed(place.warm)
        listed = {each["run"]: each["state"] for each in json.loads(call(place, "vm", "list", "--json"))}
        require(all(listed.get(run.id) == "running" for run in runs), f"kept machines: {listed}")
        one, other = (call(place, "vm", "ssh", run.id, IDENTITY).split() for run in runs)
    require(len(one) == len(other) == len(FACTS), f"{one} and {other}")
    same = [fact for fact, a, b in zip(FACTS, one, other, strict=True) if a == b]
    require(not same, f"both have the same {', '.join(same)}")
    return f"{one[1]} and {other[1]} ran at once; different {', '.join(FACTS)}"


def cancel(place: Place) -> str:
    """SIGINT during the script, as a cancelled job sends it: a result, and nothing left, or files for `reap`.

    GitHub's runner waits ten seconds, however slow a host is; what is not removed by then is left to the next run.
    """
    before = place.holdings()["files"]
    with start(place, "cancelled", QUIET, place.warm, *LONG) as run:
        run.wait_for_step("provision")
        began = monotonic()
        run.process.send_signal(signal.SIGINT)
        status = run.wait(120)
        took = seconds_since(began)
    require(status == 130, f"exit {status}: {run.words()}")
    require(run.result["outcome"] == "interrupted", run.result["outcome"])
    evidence = f"exit 130 after {took}, result written"
    if place.holdings()["files"] != before:
        evidence += f"; the rest by reap: {', '.join(call(place, 'reap').splitlines())}"
    return evidence


def kill(place: Place) -> str:
    """SIGKILL during the script: libvirt ends the machine, `reap` takes the files."""
    with start(place, "killed", QUIET, place.warm, *LONG) as run:
        run.wait_for_step("provision")
        machine = f"kvm-e2e-{run.id}"
        require(machine in place.virsh("list", "--name"), "there is no machine to lose")
        began = monotonic()
        run.kill()
    wait_for(lambda: machine not in place.virsh("list", "--all", "--name"), 120, "libvirt to end the machine")
    gone = seconds_since(began)
    require(place.holdings()["files"], "no files were left, so that reap has nothing to prove")
    words = ", ".join(call(place, "reap").split("\n")[:-1])
    return f"libvirt ended the machine after {gone}; reap: {words}"
