"""Whole runs in containers, by a real daemon: what a user sees, and what is left afterwards."""

import json
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from dockerd import Daemon, daemon
from tooling import BOOT, REPOSITORY, Tool, has_started, wait_for

from kvm_action.backends.container_image import provide
from kvm_action.backends.container_setup import first_files, first_start
from kvm_action.backends.identity import new_identity
from kvm_action.containers import command
from kvm_action.containers.command import Login
from kvm_action.containers.container import SNAPSHOTS, Container, created
from kvm_action.containers.engine import Engine, open_engine
from kvm_action.containers.session import Session
from kvm_action.containers.spec import ContainerSpec
from kvm_action.errors import CommandTimeoutError, GuestConnectionError, PortClosedError, RunLimitError
from kvm_action.events import Stream
from kvm_action.guest import Tree
from kvm_action.images.store import Store
from kvm_action.plan.model import User
from kvm_action.wait import Deadline, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="dockerd has to be started by root")

SMALL = "machine: {image: debian-12, memory: 512MiB, cpus: 1}\nsnapshots: []\n"
SOON = timedelta(seconds=20)


@pytest.fixture(scope="module")
def docker() -> Iterator[Daemon]:
    with daemon() as running:
        yield running


@pytest.fixture(scope="module")
def engine(docker: Daemon) -> Iterator[Engine]:
    with open_engine(docker.environment) as opened:
        yield opened


@pytest.fixture
def tool_with_docker(tool: Tool, docker: Daemon, engine: Engine) -> Iterator[Tool]:
    tool.environment.update(docker.environment)
    yield tool
    assert names(engine) == [], "a container was left behind"
    assert engine.api.images(name=SNAPSHOTS) == [], "a snapshot was left behind"


@pytest.fixture(scope="module")
def container(engine: Engine, images: Path) -> Iterator[Container]:
    """A running container of the same files as the virtual machine's."""
    image = provide(engine, Store(images), "debian-12", lambda _text: None)
    spec = ContainerSpec(
        name="tested",
        image=image.reference,
        hostname="tested",
        cpus=1,
        memory=512 << 20,
        network="bridge",
        labels={},
    )
    with ExitStack() as stack:
        made = stack.enter_context(created(engine, spec, stays=lambda: False))
        made.put(first_files(new_identity("20260101-000000-abcdef")))
        made.start()
        yield made


@pytest.fixture(scope="module")
def guest(container: Container) -> Session:
    root = Session(container, Login(), lambda: None)
    started = first_start(root, User(name="tester"), "ssh-ed25519 AAAA", timedelta(minutes=2))
    assert started.failed == ()
    return Session(container, started.login, lambda: None)


def names(engine: Engine) -> list[str]:
    return [each["Names"][0] for each in engine.api.containers(all=True) if each["Names"][0] != "/tested"]


# --- the session


def test_a_command_runs_as_the_plans_user_with_the_environment_of_a_login(guest: Session) -> None:
    said = guest.run("id -un; echo $HOME $USER $SHELL $LANG; pwd; sudo id -un", timeout=SOON).text.splitlines()
    assert said == ["tester", "/home/tester tester /bin/bash C.UTF-8", "/home/tester", "root"]
    assert guest.run("id -un", sudo=True, timeout=SOON).text == "root"


def test_status_and_both_streams_come_back_whole_and_binary(guest: Session) -> None:
    sent = bytes(range(256)) * 20_000
    ended = guest.run("cat; echo oops >&2; exit 3", stdin=sent, timeout=SOON, keep_bytes=len(sent))
    assert (ended.status, ended.stdout, ended.stderr) == (3, sent, b"oops\n")


def test_output_is_told_while_the_command_runs(guest: Session) -> None:
    came: list[tuple[Stream, bytes, float]] = []
    began = time.monotonic()
    guest.run(
        "echo one; sleep 1; echo two >&2",
        timeout=SOON,
        on_output=lambda stream, data: came.append((stream, data, time.monotonic() - began)),
    )
    assert [(stream, data) for stream, data, _ in came] == [(Stream.STDOUT, b"one\n"), (Stream.STDERR, b"two\n")]
    assert came[1][2] - came[0][2] > 0.8


def test_a_command_that_hangs_is_killed_with_all_its_children(guest: Session) -> None:
    with pytest.raises(CommandTimeoutError, match="the last it said was: waiting"):
        guest.run("echo waiting; sudo sleep 4711 & sleep 4711", timeout=timedelta(seconds=2))
    assert guest.run("pgrep -f 'sleep 471[1]'", timeout=SOON).status == 1


def test_a_daemon_that_a_command_leaves_does_not_keep_it_from_ending(guest: Session) -> None:
    began = time.monotonic()
    assert guest.run("sleep 30 & echo started", timeout=timedelta(seconds=15)).text == "started"
    assert time.monotonic() - began < 10


def test_a_daemon_that_goes_on_talking_does_not_either(guest: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "LEFT_BEHIND", 1.0)
    monkeypatch.setattr(command, "_LOOK_AT_TALKER", 0.3)
    ended = guest.run("(while :; do echo tick; sleep 0.1; done) & echo $! >&2", timeout=SOON)
    assert (ended.status, b"tick" in ended.stdout) == (0, True)
    assert guest.run(f"kill {int(ended.stderr)}", timeout=SOON).ok


def test_a_container_that_is_made_while_the_run_ends_is_removed(engine: Engine, images: Path) -> None:
    image = provide(engine, Store(images), "debian-12", lambda _text: None)
    spec = ContainerSpec(
        name="late", image=image.reference, hostname="late", cpus=1, memory=512 << 20, network="bridge", labels={}
    )

    class Ending:
        """The real daemon's API, where the run's limit strikes before the answer is heard."""

        def __getattr__(self, name: str) -> object:
            return getattr(engine.api, name)

        def create_container_from_config(self, *arguments: object) -> None:
            engine.api.create_container_from_config(*arguments)
            raise RunLimitError("the run took longer than its limit")

    with pytest.raises(RunLimitError), created(replace(engine, api=Ending()), spec, stays=lambda: False):
        pass
    assert "/late" not in names(engine)


def test_a_command_that_does_not_read_its_input_ends_all_the_same(guest: Session) -> None:
    assert guest.run("exit 0", stdin=b"x" * (4 << 20), timeout=SOON).status == 0


def test_a_port_of_the_container_is_reached_without_forwarding_and_a_closed_one_is_told(guest: Session) -> None:
    guest.run("python3 -m http.server 8099 >/dev/null 2>&1 &", timeout=SOON)

    def opened() -> socket.socket | None:
        with suppress(PortClosedError):
            return guest.open_port(8099, SOON)
        return None

    connection = until(opened, Deadline(SOON))
    assert connection
    with connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert connection.recv(4) == b"HTTP"
    with pytest.raises(PortClosedError, match="does not take connections on port 1"):
        guest.open_port(1, SOON)


def test_files_go_in_and_out_with_their_modes_and_links(guest: Session, tmp_path: Path) -> None:
    source = tmp_path / "tree"
    source.mkdir()
    (source / "run.sh").write_text("#!/bin/sh\n")
    (source / "run.sh").chmod(0o750)
    (source / "link").symlink_to("run.sh")
    assert guest.put(Tree(source, "/opt/tree"), SOON) > 0
    listed = guest.run("stat -c '%n %a %U' /opt/tree/*; readlink /opt/tree/link", timeout=SOON).text.splitlines()
    assert listed == ["/opt/tree/link 777 tester", "/opt/tree/run.sh 750 tester", "run.sh"]
    got = guest.get("/opt/tree/**", tmp_path / "out", limit_bytes=1 << 20, timeout=SOON)
    assert sorted(path.name for path in got) == ["link", "run.sh"]


def test_the_container_has_the_machines_files_with_their_owners_and_capabilities(guest: Session) -> None:
    said = guest.run("stat -c %a,%U:%G /usr/bin/sudo /etc/shadow; getcap /usr/bin/ping", timeout=SOON, sudo=True)
    assert said.text.splitlines() == ["4755,root:root", "640,root:shadow", "/usr/bin/ping cap_net_raw=ep"]


def test_the_container_may_mount_and_nothing_else_that_others_may_not(guest: Session) -> None:
    mask = int(guest.run("awk '/^CapBnd/ {print $2}' /proc/1/status", timeout=SOON).text, 16)
    by_docker = 0x00000000A80425FB
    assert mask == by_docker | 1 << 21


def test_a_container_that_dies_during_a_command_is_a_lost_connection(engine: Engine, container: Container) -> None:
    spec = ContainerSpec(
        name="kvm-e2e-off", image=str(container.state()["Config"]["Image"]), hostname="off", cpus=1,
        memory=256 << 20, network="bridge", labels={},
    )  # fmt: skip
    with created(engine, spec, stays=lambda: False) as made:
        made.start()
        with pytest.raises(GuestConnectionError, match="container ended"):
            Session(made, Login(), lambda: None).run(
                "echo; sleep 30", timeout=SOON, on_output=lambda *_: engine.api.kill(made.id)
            )


# --- whole runs


def test_the_hello_example_passes_in_a_container_and_says_what_it_could_not_test(tool_with_docker: Tool) -> None:
    plan = REPOSITORY / "examples/hello/plan.yml"
    ended = tool_with_docker("run", str(plan), "--backend", "docker", "--image", "debian-12")
    assert ended.status == 0, ended.stdout + ended.stderr
    result = ended.result
    assert (result["backend"], result["accel"]["name"], result["outcome"]) == ("docker", "none", "passed")
    assert [step["name"] for step in result["steps"] if step["outcome"] != "passed"] == []
    assert result["guest"]["kernel"] == platform.release()
    assert "kernel modules" in {each["what"] for each in result["not_testable"]}
    assert "Not testable here" in (ended.out / "report.md").read_text()
    assert result["idempotence"] == {**result["idempotence"], "exit": 0, "changes": []}
    assert result["measures"]["memory_peak_bytes"] > 10 << 20
    assert 1 << 20 < result["measures"]["memory_own_bytes"] <= result["measures"]["memory_peak_bytes"]
    assert result["measures"]["disk_bytes"] > 10_000
    assert [(each["name"], each["memory"]) for each in result["snapshots"]] == [
        ("clean-boot", False),
        ("provisioned", False),
    ]
    assert (ended.out / "artifacts/etc/hello.conf").exists()
    assert "Welcome" in (ended.out / "console.log").read_text(errors="replace")


def test_checks_of_what_a_container_cannot_do_are_skipped_and_all_others_judged(tool_with_docker: Tool) -> None:
    (tool_with_docker.folder / "test_own.py").write_text(
        "def test_user(host):\n    assert host.user().name == 'testuser'\n"
        "def test_bad(host):\n    assert host.file('/etc/no').exists\n"
    )
    plan = tool_with_docker.write_plan(
        SMALL + "provision: {run: 'true'}\nchecks:\n- command: {run: sudo sysctl -w vm.swappiness=9}\n"
        "- command: {run: sudo modprobe loop}\n- command: {run: 'false'}\n- testinfra: test_own.py\n"
    )
    ended = tool_with_docker("run", str(plan), "--backend", "docker")
    assert ended.status == 1
    assert [each["outcome"] for each in ended.result["checks"]] == [
        "skipped", "skipped", "failed", "passed", "failed",
    ]  # fmt: skip
    assert "not testable in a container" in ended.result["checks"][0]["message"]


def test_own_tests_where_the_script_stopped_the_ssh_server_do_not_pass(tool_with_docker: Tool) -> None:
    (tool_with_docker.folder / "test_own.py").write_text("def test_me(host):\n    pass\n")
    plan = tool_with_docker.write_plan(
        SMALL + "provision: {run: sudo systemctl stop ssh}\nchecks:\n- testinfra: test_own.py\n"
    )
    ended = tool_with_docker("run", str(plan), "--backend", "docker")
    assert (ended.status, ended.result["checks"][0]["outcome"]) == (1, "error")
    assert "SSH server does not answer" in ended.result["checks"][0]["message"]


def test_a_script_that_fails_of_the_containers_limits_is_told_so_and_one_that_reboots_too(
    tool_with_docker: Tool,
) -> None:
    plan = tool_with_docker.write_plan(SMALL + "provision: {run: sudo modprobe loop}\n")
    ended = tool_with_docker("run", str(plan), "--backend", "docker")
    assert ended.status == 1
    assert "run it with --backend kvm" in ended.failure["hint"]
    plan = tool_with_docker.write_plan(SMALL + "provision: {run: sudo reboot; sleep 60}\n")
    ended = tool_with_docker("run", str(plan), "--backend", "docker")
    assert ended.status == 1
    assert "the container went down" in ended.failure["message"]


def test_an_image_by_reference_that_cannot_be_a_machine_is_the_images_fault(
    tool_with_docker: Tool, engine: Engine, container: Container
) -> None:
    base = engine.api.create_container(container.state()["Config"]["Image"], ["rm", "/sbin/init"], user="0:0")
    engine.api.start(base["Id"])
    engine.api.wait(base["Id"])
    engine.api.commit(base["Id"], "no-init", "1")
    engine.api.remove_container(base["Id"])
    plan = tool_with_docker.write_plan(SMALL + "provision: {run: 'true'}\n")
    ended = tool_with_docker("run", str(plan), "--backend", "docker", "--image", "docker://no-init:1")
    assert ended.status == 3
    assert "no /sbin/init" in ended.failure["message"]
    ended = tool_with_docker("run", str(plan), "--backend", "docker", "--image", "docker://127.0.0.1:9/no:1")
    assert ended.status == 3
    assert "fetch the image" in ended.failure["message"]


def test_sigterm_leaves_nothing_and_sigkill_only_what_the_next_reap_removes(
    tool_with_docker: Tool, engine: Engine
) -> None:
    plan = tool_with_docker.write_plan(SMALL + "provision: {run: sleep 120}\n")
    process, out = tool_with_docker.start("run", str(plan), "--backend", "docker")
    wait_for(lambda: has_started(out, "provision"), BOOT, "the script")
    assert "nothing was left behind" in tool_with_docker("reap").stdout
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    ended = tool_with_docker.wait(process, out)
    assert ended.status == 143
    assert time.monotonic() - began < 7
    assert names(engine) == []
    process, out = tool_with_docker.start("run", str(plan), "--backend", "docker")
    wait_for(lambda: has_started(out, "provision"), BOOT, "the script")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert len(names(engine)) == 1
    assert "destroyed kvm-e2e-" in tool_with_docker("reap").stdout


def test_a_kept_container_outlives_its_run_and_reap_all_ends_it(
    tool_with_docker: Tool, engine: Engine, docker: Daemon
) -> None:
    plan = tool_with_docker.write_plan(SMALL + "provision: {run: 'false'}\nkeep: on-failure\n")
    ended = tool_with_docker("run", str(plan), "--backend", "docker")
    assert ended.status == 1
    (name,) = names(engine)
    assert f"docker exec -it {name.lstrip('/')} bash" in ended.stdout
    assert "nothing was left behind" in tool_with_docker("reap").stdout
    assert names(engine) == [name]
    assert f"destroyed {name.lstrip('/')}" in tool_with_docker("reap", "--all").stdout


def test_without_a_daemon_a_run_and_a_bench_say_what_to_do(tool: Tool) -> None:
    tool.environment["DOCKER_HOST"] = f"unix://{tool.folder}/none.sock"
    plan = tool.write_plan(SMALL + "provision: {run: 'true'}\n")
    ended = tool("run", str(plan), "--backend", "docker")
    assert ended.status == 3
    assert "not running here" in ended.failure["message"]
    assert "systemctl start docker" in ended.failure["hint"]
    bench = tool("bench", str(plan), "--backend", "docker", "--out", str(tool.folder / "bench"))
    assert bench.status == 3
    assert "docker was not measured to the end" in bench.stdout


@pytest.mark.slow
def test_a_bench_in_containers_keeps_every_sample_and_costs_little(tool_with_docker: Tool) -> None:
    plan = tool_with_docker.write_plan(SMALL + "provision: {run: sleep 1}\n")
    out = tool_with_docker.folder / "bench"
    ended = tool_with_docker("bench", str(plan), "--backend", "docker", "--runs", "2", "--json", "--out", str(out))
    assert ended.status == 0, ended.stdout + ended.stderr
    bench = json.loads(ended.stdout)
    assert bench == json.loads((out / "bench.json").read_text())
    assert [sample["counts"] for sample in bench["samples"]] == [False, True, True]
    for sample in bench["samples"]:
        assert (out / sample["folder"] / "result.json").exists()
    assert "Test environment" in (out / "bench.md").read_text()


@pytest.mark.slow
def test_both_backends_are_measured_in_turn_and_the_bench_itself_costs_less_than_two_percent(
    tool_with_docker: Tool,
) -> None:
    out = tool_with_docker.folder / "bench"
    plan = REPOSITORY / "examples/hello/plan.yml"
    ended = tool_with_docker(
        "bench", str(plan), "--image", "debian-12", "--runs", "2", "--out", str(out), timeout=1500
    )
    assert ended.status == 0, ended.stdout + ended.stderr
    bench = json.loads((out / "bench.json").read_text())
    assert bench["overhead_seconds"] < 0.02 * bench["seconds"]
    assert [series["count"] for series in bench["series"]] == [2, 2]
    assert {"environment", "total", "memory", "disk"} <= bench["series"][0]["rows"].keys()
    assert "docker against kvm" in ended.stdout


def test_nothing_of_docker_is_loaded_for_a_run_in_a_virtual_machine() -> None:
    asked = "import sys, kvm_action.cli.run; sys.exit('docker' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
