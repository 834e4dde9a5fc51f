"""Kept machines of several homes at one libvirt daemon: who may end which. Real domains, which never run."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.sax.saxutils import escape

import libvirt
import pytest

from kvm_action import proc
from kvm_action.backends.reaping import reap
from kvm_action.errors import ExitCode
from kvm_action.hypervisor.connection import Connection, open_connection
from kvm_action.hypervisor.domain_xml import LEASE_NAMESPACE, domain_name
from kvm_action.hypervisor.owned import has_domain
from kvm_action.leases import FILE_NAME, Lease, lease_for
from kvm_action.runs import new_run_id

pytestmark = pytest.mark.integration


@pytest.fixture
def connection() -> Iterator[Connection]:
    with open_connection() as connection:
        yield connection


@contextmanager
def kept(connection: Connection, runs: Path, kept_for: timedelta = timedelta(hours=1)) -> Iterator[Lease]:
    """A kept machine that stands still before its first instruction, and its folder."""
    run = new_run_id(datetime.now(UTC))
    (runs / run).mkdir(parents=True)
    lease = replace(
        lease_for(run, runs / run, connection.uri), owner_started=1, kept_until=datetime.now(UTC) + kept_for
    )
    (runs / run / FILE_NAME).write_text(lease.to_json())
    connection.raw.createXML(
        f"<domain type='qemu'><name>{domain_name(run)}</name><metadata>"
        f"<l:lease xmlns:l='{LEASE_NAMESPACE}'>{escape(lease.to_json())}</l:lease></metadata>"
        "<memory unit='MiB'>16</memory><os><type arch='x86_64' machine='q35'>hvm</type></os></domain>",
        libvirt.VIR_DOMAIN_START_PAUSED | libvirt.VIR_DOMAIN_START_AUTODESTROY,
    )
    try:
        yield lease
    finally:
        if has_domain(connection, domain_name(run)):
            connection.raw.lookupByName(domain_name(run)).destroy()
        connection.forget_log(domain_name(run))


def test_reap_all_ends_the_kept_machines_of_its_own_home_and_no_others(
    connection: Connection, tmp_path: Path
) -> None:
    mine, theirs = tmp_path / "mine/runs", tmp_path / "theirs/runs"
    with kept(connection, mine) as of_mine, kept(connection, theirs) as of_theirs:
        gone = reap(connection, mine, kept_too=True)
        assert domain_name(of_mine.run) in gone.domains  # with whatever dead runs left on this host
        assert gone.folders == (of_mine.run,)
        assert has_domain(connection, domain_name(of_theirs.run))
        assert (theirs / of_theirs.run).is_dir()


def test_a_kept_machine_whose_time_is_over_is_everybodys_to_end(connection: Connection, tmp_path: Path) -> None:
    with kept(connection, tmp_path / "theirs", timedelta(seconds=-1)) as late:
        assert domain_name(late.run) in reap(connection, tmp_path / "mine").domains


def test_the_folder_of_a_kept_machine_goes_with_its_machine_and_only_by_its_own_daemon(
    connection: Connection, tmp_path: Path
) -> None:
    with kept(connection, tmp_path) as lease:
        assert not reap(connection, tmp_path)
        connection.raw.lookupByName(domain_name(lease.run)).destroy()
        assert not reap(None, tmp_path, kept_too=True)
        assert not reap(replace(connection, uri="qemu:///other"), tmp_path, kept_too=True)
        assert reap(connection, tmp_path).folders == (lease.run,)
    assert not list(tmp_path.iterdir())


def tool(home: Path, *arguments: str) -> proc.Completed:
    command = [sys.executable, "-m", "kvm_action", *arguments]
    return proc.run(command, environment={"KVM_E2E_HOME": str(home)}, timeout=timedelta(minutes=1))


def test_a_kept_machine_that_somebody_ended_is_shown_as_gone_and_can_be_cleared_away(
    connection: Connection, tmp_path: Path
) -> None:
    with kept(connection, tmp_path / "runs") as lease:
        connection.raw.lookupByName(domain_name(lease.run)).destroy()
        [facts] = json.loads(tool(tmp_path, "vm", "list", "--json").stdout)
        assert (facts["run"], facts["state"]) == (lease.run, "gone")
        for command in (["vm", "ssh"], ["vm", "view"], ["vm", "console"], ["snapshot", "list"]):
            ended = tool(tmp_path, *command, "last")
            assert ended.status == ExitCode.INFRASTRUCTURE
            assert "is gone" in ended.stderr
            assert "kvm-e2e reap" in ended.stderr
        assert "destroyed" in tool(tmp_path, "vm", "destroy", "last").stdout
    assert not list((tmp_path / "runs").iterdir())


def test_a_machine_without_login_and_screen_is_told_what_it_has(connection: Connection, tmp_path: Path) -> None:
    with kept(connection, tmp_path / "runs") as lease:
        ended = tool(tmp_path, "vm", "ssh", "last")
        assert (ended.status, f"kvm-e2e vm console {lease.run}" in ended.stderr) == (3, True)
        assert "without a screen" in tool(tmp_path, "vm", "view", "last").stderr
        assert tool(tmp_path, "vm", "destroy").status == ExitCode.USAGE
        assert "destroyed" in tool(tmp_path, "vm", "destroy", "--all").stdout
        assert not has_domain(connection, domain_name(lease.run))
