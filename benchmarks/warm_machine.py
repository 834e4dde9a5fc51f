"""One of our machines, started step by step with a clock at hand, as a run starts it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kvm_action.backends.kvm import KvmBackend, VirtualMachine
from kvm_action.backends.settings import Settings
from kvm_action.images.store import Store
from kvm_action.paths import Home
from kvm_action.plan.load import load_plan
from kvm_action.plan.model import Accel, Keep, StartMode
from kvm_action.runs import new_run_id

PLAN = (
    "machine: {{image: debian-12, cpus: {cpus}, memory: {memory}MiB}}\nprovision: {{run: 'true'}}\nsnapshots: []\n"
)


@dataclass(frozen=True)
class Started:
    """Seconds from the first file of its own to each moment, and the end: ``cleanup`` is the teardown alone."""

    agent: float
    command: float
    cleanup: float


def start(folder: Path, mode: StartMode, cpus: int = 2, memory: int = 2048) -> Started:
    """Start a machine and end it. Raises RuntimeError when it started in another mode."""
    with machine(folder, mode, cpus, memory) as ours:
        ours.check_host()
        begun = time.monotonic()
        ours.create_disk()
        before_launch = time.monotonic()
        ours.launch()
        require_mode(ours, mode)
        ours.wait_for_network()
        ours.connect()  # it asks the guest who it is: that is the command
        commanded = time.monotonic()
        agent = ours.watch.log.milestones["agent"]
    return Started(agent + before_launch - begun, commanded - begun, time.monotonic() - commanded)


def boot(folder: Path, cpus: int, memory: int) -> float:
    """Seconds of a cold boot, from its first file to a command over SSH."""
    with machine(folder, StartMode.BOOT, cpus, memory) as ours:
        ours.check_host()
        begun = time.monotonic()
        ours.create_disk()
        ours.create_seed()
        ours.launch()
        require_mode(ours, StartMode.BOOT)
        ours.wait_for_network()
        ours.connect()
        return time.monotonic() - begun


@contextmanager
def awake(folder: Path, mode: StartMode, cpus: int, memory: int) -> Iterator[VirtualMachine]:
    """A machine that runs and was logged in to; gone at the end."""
    with machine(folder, mode, cpus, memory) as ours:
        ours.check_host()
        ours.create_disk()
        ours.launch()
        require_mode(ours, mode)
        ours.wait_for_network()
        ours.connect()
        yield ours


def require_mode(ours: VirtualMachine, mode: StartMode) -> None:
    """Raise RuntimeError when it started in another mode."""
    if ours.start.info.mode != mode:
        raise RuntimeError(f"it started by {ours.start.info.mode}: {ours.start.info.reason}")


@contextmanager
def machine(folder: Path, mode: StartMode, cpus: int, memory: int) -> Iterator[VirtualMachine]:
    """A machine that is not started yet; gone at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    plan = folder / "plan.yml"
    plan.write_text(PLAN.format(cpus=cpus, memory=memory))
    home = Home.from_environ()
    settings = Settings(
        run=new_run_id(datetime.now(UTC)), image="debian-12", accel=Accel.AUTO, keep=Keep.NEVER,
        store=Store(home.images), runs=home.runs, templates=home.templates, start=mode, out=folder,
    )  # fmt: skip
    with KvmBackend(load_plan(plan).plan, settings, lambda _event: None).machine() as made:
        assert isinstance(made, VirtualMachine)
        yield made
