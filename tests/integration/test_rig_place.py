"""What the rig's scenarios see of a host: its processes and ports."""

import socket
import subprocess

from scenarios.place import is_true_within, listening, qemu_processes


def test_a_qemu_is_seen_by_the_name_of_its_run_until_it_ends() -> None:
    with subprocess.Popen(["sh", "-c", "read x # guest=kvm-e2e-rig-test"], stdin=subprocess.PIPE) as process:
        try:
            assert is_true_within(5, lambda: qemu_processes("rig-test") == [process.pid])
        finally:
            process.kill()
    assert qemu_processes("rig-test") == []


def test_an_open_port_is_seen_until_it_is_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        assert port in listening()
    assert port not in listening()
