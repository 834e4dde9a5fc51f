"""How the end of a machine is noticed: a real QEMU with nothing to boot."""

import os
import signal
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from uuid import uuid4

import pytest

from kvm_action.errors import InterruptedRunError
from kvm_action.hypervisor.bounded import SilentQemuError
from kvm_action.hypervisor.connection import Connection, open_connection
from kvm_action.hypervisor.domain import QEMU_DIED, Domain
from kvm_action.hypervisor.domain_xml import BackingFile, DomainSpec, domain_xml
from kvm_action.hypervisor.launching import launched
from kvm_action.hypervisor.owned import find_domain
from kvm_action.hypervisor.qemu_process import end_process, has_process
from kvm_action.interruption import interruptible
from kvm_action.wait import Deadline, until

pytestmark = pytest.mark.integration

SOON = timedelta(seconds=20)


@pytest.fixture
def connection() -> Iterator[Connection]:
    with open_connection() as connection:
        yield connection


def spec(folder: Path) -> DomainSpec:
    for name in ("image", "overlay"):
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", folder / name, "1M"], check=True)
    (folder / "seed").write_bytes(bytes(1 << 20))
    return DomainSpec(
        name=f"kvm-e2e-test-{uuid4().hex[:8]}",
        uuid=uuid4(),
        lease="none",
        memory=64 << 20,
        cpus=1,
        cpu="host-passthrough",
        accel="tcg",
        firmware="bios",
        backing=(BackingFile(folder / "image", "qcow2"),),
        overlay=folder / "overlay",
        seed=folder / "seed",
        network="",
        mac="52:54:00:00:00:01",
    )


def pid_of(domain: Domain) -> int:
    wanted = f"guest={domain.name},".encode()
    return next(int(one.name) for one in Path("/proc").glob("[0-9]*") if wanted in (one / "cmdline").read_bytes())


def test_who_waits_is_told_at_once_when_qemu_dies(connection: Connection, tmp_path: Path) -> None:
    machine, told = spec(tmp_path), Event()
    with launched(connection, machine.name, domain_xml(machine), lambda _data: None) as domain:
        domain.when_gone(told.set)
        domain.resume()
        assert not told.is_set()
        os.kill(pid_of(domain), signal.SIGKILL)
        assert told.wait(SOON.total_seconds())
        assert domain.end == QEMU_DIED


def test_a_machine_that_libvirt_cannot_end_is_ended_by_its_process(connection: Connection, tmp_path: Path) -> None:
    machine = spec(tmp_path)
    with launched(connection, machine.name, domain_xml(machine), lambda _data: None) as domain:
        assert has_process(domain.name)
        assert end_process(domain.name)
        assert until(lambda: domain.end == QEMU_DIED, Deadline(SOON))
    assert not has_process(machine.name)


def test_a_qemu_that_stands_still_neither_holds_us_nor_stays(connection: Connection, tmp_path: Path) -> None:
    machine = spec(tmp_path)
    with launched(connection, machine.name, domain_xml(machine), lambda _data: None) as domain:
        domain.screenshot(tmp_path / "good.png", SOON)
        os.kill(pid_of(domain), signal.SIGSTOP)
        with pytest.raises(SilentQemuError, match="has not answered within 1s"):
            domain.screenshot(tmp_path / "none.png", timedelta(seconds=1))
    assert not has_process(machine.name)
    assert (tmp_path / "good.png").stat().st_size
    assert not (tmp_path / "none.png").exists()


def test_a_signal_that_comes_while_libvirt_starts_a_machine_leaves_none_behind(
    connection: Connection, tmp_path: Path
) -> None:
    machine = spec(tmp_path)

    def interrupt() -> None:
        until(lambda: has_process(machine.name), Deadline(SOON), every=0.005)
        os.kill(os.getpid(), signal.SIGTERM)

    early = Thread(target=interrupt)
    early.start()
    with (
        pytest.raises(InterruptedRunError),
        interruptible(),
        launched(connection, machine.name, domain_xml(machine), lambda _data: None, may_outlive_us=True) as domain,
    ):
        domain.keep("none")
        Event().wait(SOON.total_seconds())
    early.join()
    assert not has_process(machine.name)
    assert find_domain(connection, machine.name) is None
