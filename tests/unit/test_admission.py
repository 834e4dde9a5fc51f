"""How many runs a host takes: the arithmetic, and what a user is told who cannot have it."""

import fcntl
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from kvm_action.admission.limits import Host, Need, Running, lacking, measured, require_possible
from kvm_action.admission.tickets import SUFFIX, living, locked, taken
from kvm_action.admission.waiting import admitted
from kvm_action.errors import HostError

GIB = 1 << 30
HOST = Host(memory=22 * GIB, memory_free=22 * GIB, cpus=40, disk_free=100 * GIB)
SMALL = Need(memory=GIB // 2, cpus=1, disk=GIB)


def fresh(needs: Sequence[Need]) -> list[Running]:
    return [Running(need=need, seconds=1) for need in needs]


def test_twenty_small_machines_fit_on_two_cores_at_once() -> None:
    assert lacking(SMALL, HOST, fresh([SMALL] * 19)) == ""


@pytest.mark.parametrize(
    ("need", "host", "running", "lack"),
    [
        (SMALL, HOST, fresh([replace(SMALL, memory=21 * GIB)]), ""),
        (replace(SMALL, memory=GIB), HOST, fresh([replace(SMALL, memory=21 * GIB)]), "memory"),
        (SMALL, replace(HOST, memory_free=GIB), fresh([SMALL]), "memory"),
        (SMALL, replace(HOST, memory_free=GIB), [Running(need=SMALL, seconds=3600)], ""),
        (SMALL, replace(HOST, memory_free=GIB // 4), [Running(need=SMALL, seconds=3600)], "memory"),
        (SMALL, replace(HOST, memory_free=GIB // 4), [], ""),
        (replace(SMALL, cpus=2), HOST, fresh([replace(SMALL, cpus=39)]), "CPUs"),
        (SMALL, replace(HOST, disk_free=GIB // 2), [], "disk"),
        (SMALL, replace(HOST, disk_free=GIB), fresh([SMALL]), "disk"),
    ],
)
def test_one_more_fits_or_it_is_said_what_is_lacking(
    need: Need, host: Host, running: list[Running], lack: str
) -> None:
    assert lacking(need, host, running) == lack


@pytest.mark.parametrize(
    ("need", "numbers"),
    [(replace(SMALL, memory=64 * GIB), ["64.0 GiB", "22.0 GiB"]), (replace(SMALL, cpus=64), ["64 CPUs", "40"])],
)
def test_what_can_never_fit_is_refused_with_numbers(need: Need, numbers: list[str]) -> None:
    with pytest.raises(HostError) as raised:
        require_possible(need, HOST)
    assert all(number in raised.value.message for number in numbers)


def test_this_host_is_measured_by_the_kernels_own_figures_and_as_the_user_wants(tmp_path: Path) -> None:
    host = measured(tmp_path / "not/there/yet", {})
    assert host.memory > host.memory_free / 2 > 0
    assert host.disk_free > 0
    assert measured(tmp_path, {"KVM_E2E_MEMORY_FACTOR": "2"}).memory > 2 * host.memory
    with pytest.raises(HostError, match="KVM_E2E_CPU_FACTOR is 'many'"):
        measured(tmp_path, {"KVM_E2E_CPU_FACTOR": "many"})


def test_without_a_run_to_wait_for_a_full_disk_is_an_error_and_no_endless_wait(tmp_path: Path) -> None:
    full = replace(HOST, disk_free=1 << 20)
    with (
        pytest.raises(HostError, match=r"1\.0 MiB are free, the run wants 1\.0 GiB"),
        admitted(tmp_path, "r", SMALL, measure=lambda: full, tell=print, environ={}),
    ):
        pass


def test_a_plan_that_wants_more_memory_than_is_free_is_let_in_with_a_note(tmp_path: Path) -> None:
    said: list[str] = []
    short = replace(HOST, memory_free=GIB // 4)
    with admitted(tmp_path, "r", SMALL, measure=lambda: short, tell=said.append, environ={}):
        assert said == ["the plan asks for 512 MiB of memory, and the host has 256 MiB free"]


def test_admission_can_be_switched_off(tmp_path: Path) -> None:
    off = {"KVM_E2E_ADMISSION": "off"}
    with admitted(tmp_path, "r", replace(SMALL, memory=64 * GIB), measure=lambda: HOST, tell=print, environ=off):
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["no", "0", "OFF", "false"])
def test_a_word_that_does_not_switch_admission_is_refused(tmp_path: Path, text: str) -> None:
    wrong = admitted(tmp_path, "r", SMALL, measure=lambda: HOST, tell=print, environ={"KVM_E2E_ADMISSION": text})
    with pytest.raises(HostError, match=f"KVM_E2E_ADMISSION is '{text}'") as raised, wrong:
        pass
    assert "off" in raised.value.hint


@pytest.mark.parametrize("text", ["", "on"])
def test_admission_is_on_unless_it_is_switched_off(tmp_path: Path, text: str) -> None:
    on = {"KVM_E2E_ADMISSION": text}
    with admitted(tmp_path, "r", SMALL, measure=lambda: HOST, tell=print, environ=on):
        assert list(tmp_path.iterdir())


def test_whoever_tells_of_the_wait_keeps_nobody_from_a_look_at_the_queue(tmp_path: Path) -> None:
    told: list[str] = []

    def tell(line: str) -> None:  # as by a terminal that stands still
        with locked(tmp_path):
            told.append(line)

    first = replace(SMALL, memory=21 * GIB)
    with taken(tmp_path, "first", first) as queue:
        assert queue.look(lambda _before: True)
        with pytest.raises(HostError, match="not admitted"):
            let_in(tmp_path, tell)
    assert told == ["waiting for memory: 1 run before this one"]


def let_in(folder: Path, tell: Callable[[str], None]) -> None:
    need = replace(SMALL, memory=2 * GIB)
    with admitted(
        folder, "second", need, measure=lambda: HOST, tell=tell, environ={}, longest=timedelta(seconds=0.3)
    ):
        pass


def test_a_ticket_of_nonsense_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / f"1-foreign{SUFFIX}"
    path.write_text('{"memory": Infinity, "cpus": 1, "disk": 1, "admitted_at": null}')
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert living(tmp_path) == []
