"""What is asked of Docker, and how its answers are read; no daemon."""

import io
import json
import tarfile
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import docker
import pytest
import requests
from docker.errors import NotFound
from hypothesis import given
from hypothesis import strategies as st

from kvm_action.containers.container import Container, memory_groups
from kvm_action.containers.engine import Engine, unreachable
from kvm_action.containers.files import File, archive
from kvm_action.containers.frames import Frames
from kvm_action.containers.images import remove_older_copies, repository
from kvm_action.containers.owned import destroy_abandoned, labels
from kvm_action.containers.spec import ContainerSpec, configuration
from kvm_action.containers.where import address
from kvm_action.errors import HostError
from kvm_action.events import Stream
from kvm_action.guest_shell import SessionMark, wrap
from kvm_action.leases import lease_for

SPEC = ContainerSpec(
    name="kvm-e2e-1", image="kvm-e2e/debian-12:abc", hostname="e2e", cpus=2, memory=1 << 30, network="bridge",
    labels={"kvm-e2e.lease": "{}"},
)  # fmt: skip
ID = "f" * 64


def frame(stream: int, data: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=50)), max_size=6), st.integers(1, 20))
def test_output_arrives_whole_and_in_order_however_the_daemon_cuts_it(said, size: int) -> None:
    wire = b"".join(frame(stream, data) for stream, data in said)
    frames, out, errors = Frames(), b"", b""
    for start in range(0, len(wire), size):
        for stream, piece in frames.feed(wire[start : start + size]):
            out, errors = (out + piece, errors) if stream is Stream.STDOUT else (out, errors + piece)
    assert out == b"".join(data for stream, data in said if stream == 1)
    assert errors == b"".join(data for stream, data in said if stream == 2)


@given(st.integers(1, 40), st.binary(max_size=30))
def test_the_mark_of_a_session_is_taken_out_wherever_it_is_cut(size: int, words: bytes) -> None:
    mark, wire = SessionMark(), b"\x1ekvm-e2e 4711\n" + words
    passed = b"".join(mark.take(wire[i : i + size]) for i in range(0, len(wire), size)) + mark.rest()
    assert (mark.session, passed) == (4711, words)


def test_a_command_that_never_says_its_session_loses_nothing() -> None:
    mark = SessionMark()
    assert mark.take(b"sh: not found\n") == b""
    assert mark.rest() == b"sh: not found\n"
    assert mark.session is None
    assert wrap("true", sudo=True).endswith("exec sudo -n -- sh -c true")


@pytest.mark.parametrize(
    ("answer", "runs"),
    [
        ({"State": {"Running": True}}, True),
        ({"State": {"Running": False}}, False),
        (NotFound("no such container"), False),
    ],
)
def test_a_container_that_is_gone_does_not_run(answer: object, runs: bool) -> None:
    assert answering(answer).is_running() is runs


def test_a_daemon_that_does_not_answer_says_nothing_of_the_container() -> None:
    refused = ConnectionRefusedError(111, "Connection refused")
    broken = requests.ConnectionError(("Connection aborted.", refused))
    with pytest.raises(HostError, match=r"its daemon does not answer \(Connection refused\)"):
        answering(broken).is_running()


def answering(answer: object) -> Container:
    def inspect(_id: str) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    api = cast(docker.APIClient, SimpleNamespace(inspect_container=inspect))
    return Container(Engine(api, "unix:///x", "1", "overlay2", 2), ID, "kvm-e2e-1")


def test_a_copy_that_a_waiting_run_may_still_start_from_stays() -> None:
    removed: list[str] = []
    ages = {"kvm-e2e/debian-13:new": 0, "kvm-e2e/debian-13:hours": 6, "kvm-e2e/debian-13:days": 48}
    listed = [{"RepoTags": [tag], "Created": time.time() - age * 3600} for tag, age in ages.items()]
    api = SimpleNamespace(images=lambda name: listed, remove_image=removed.append)
    remove_older_copies(Engine(cast(docker.APIClient, api), "unix:///x", "1", "overlay2", 2), "debian-13", "new")
    assert removed == ["kvm-e2e/debian-13:days"]


def test_containers_of_dead_owners_go_also_when_these_were_in_a_container_themselves(tmp_path: Path) -> None:
    removed: list[str] = []
    mine = lease_for("mine", tmp_path)
    leases = {
        "mine": mine,
        "before-the-boot": replace(mine, boot_id="another", place="pid:[1]"),
        "elsewhere": replace(mine, place="pid:[1]"),
        "elsewhere-for-days": replace(mine, place="pid:[1]", since=mine.since - 2 * 86_400),
    }
    found = [{"Id": name, "Names": [f"/{name}"], "Labels": labels(lease)} for name, lease in leases.items()]
    api = SimpleNamespace(
        containers=lambda **_filters: found,
        images=lambda name: [],
        remove_container=lambda container, **_how: removed.append(container),
    )
    gone = destroy_abandoned(Engine(cast(docker.APIClient, api), "unix:///x", "1", "overlay2", 2))
    assert [each.name for each in gone] == removed == ["before-the-boot", "elsewhere-for-days"]


def test_a_container_may_mount_and_nothing_else_beyond_what_docker_gives_to_all() -> None:
    host = configuration(SPEC)["HostConfig"]
    assert host["CapAdd"] == ["SYS_ADMIN"]
    assert host["SecurityOpt"] == ["apparmor=unconfined"]
    assert "Privileged" not in host
    assert not {"Binds", "Devices", "PidMode", "IpcMode", "Mounts"} & host.keys()


def test_privileged_is_only_what_was_asked_for() -> None:
    asked = ContainerSpec(**{**SPEC.__dict__, "privileged": True})
    assert configuration(asked)["HostConfig"]["Privileged"] is True


def test_a_container_gets_the_processors_and_the_memory_of_the_plan_and_no_swap() -> None:
    host = configuration(SPEC)["HostConfig"]
    assert host["NanoCpus"] == 2_000_000_000
    assert host["Memory"] == host["MemorySwap"] == 1 << 30


def test_files_for_a_container_keep_their_modes_and_links() -> None:
    made = archive({"/etc/key": File(b"secret", 0o600), "/etc/systemd/system/x.service": File(link="/dev/null")})
    with tarfile.open(fileobj=io.BytesIO(made)) as tar:
        key, link = tar.getmembers()
        assert (key.name, key.mode, key.uid, tar.extractfile(key).read()) == ("etc/key", 0o600, 0, b"secret")
        assert (link.issym(), link.linkname) == (True, "/dev/null")


@pytest.mark.parametrize(
    ("cgroups", "folder"),
    [
        (f"3:memory:/docker/{ID}\n1:name=systemd:/docker/{ID}/init.scope\n",
         f"/sys/fs/cgroup/memory/docker/{ID}"),
        (f"0::/system.slice/docker-{ID}.scope/init.scope\n",
         f"/sys/fs/cgroup/system.slice/docker-{ID}.scope"),
        (f"0::/docker/{ID}/init.scope\n", f"/sys/fs/cgroup/docker/{ID}"),
    ],
)  # fmt: skip
def test_memory_is_read_of_the_containers_own_group(cgroups: str, folder: str) -> None:
    assert memory_groups(cgroups, ID) == (folder,)


def test_the_memory_of_another_process_is_never_taken_for_the_containers() -> None:
    assert memory_groups("0::/user.slice/session-1.scope\n3:memory:/user.slice\n", ID) == ()


def test_docker_on_another_host_is_refused_because_the_figures_would_not_be_of_this_one() -> None:
    with pytest.raises(HostError, match="on this host only"):
        address({"DOCKER_HOST": "tcp://example.invalid:2375"})
    assert address({"DOCKER_HOST": "unix:///x.sock"}) == "unix:///x.sock"
    assert address({}) == "unix:///var/run/docker.sock"


def test_a_rootless_daemon_of_the_users_own_is_found(tmp_path: Path) -> None:
    (tmp_path / "docker.sock").touch()
    assert address({"XDG_RUNTIME_DIR": str(tmp_path)}) == f"unix://{tmp_path}/docker.sock"


def test_a_daemon_that_does_not_run_is_told_with_the_command_that_starts_it(tmp_path: Path) -> None:
    error = unreachable(f"unix://{tmp_path}/docker.sock", OSError("refused"))
    assert "not running" in error.message
    assert "systemctl start docker" in error.hint


def test_an_image_gets_a_name_that_docker_allows() -> None:
    assert repository("debian-12") == "kvm-e2e/debian-12"
    assert repository("My Disk.qcow2") == "kvm-e2e/my-disk-qcow2"
    assert json.dumps(configuration(SPEC))
