"""Copying 500 MB to a guest: our SSH session against `tar | ssh`, both to one OpenSSH server on loopback."""

import random
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from shlex import quote

from sshd import SSHD, Server, sshd  # tests/sshd.py

from benchmarks.reading import CannotMeasure, Reading
from benchmarks.workshop import Workshop, seconds
from kvm_action import ssh
from kvm_action.guest import Tree
from kvm_action.wait import Deadline

RATIO = 1.0
MEGABYTES = 500
FILES = 2000


def measure(workshop: Workshop) -> list[Reading]:
    """Seven pairs."""
    if SSHD is None:
        raise CannotMeasure("no sshd on this host; apt-get install openssh-server")
    folder = workshop.folder / "copy"
    tree = make_tree(folder / "tree")
    (folder / "server").mkdir()
    with sshd(folder / "server") as server:
        key = key_file(folder, server)

        def ours(_number: int) -> float:
            return afterwards_gone(folder / "ours", lambda to: put(server, tree, to, folder))

        def theirs(_number: int) -> float:
            return afterwards_gone(folder / "theirs", lambda to: tar_ssh(server, key, tree, to))

        ours(0), theirs(0)
        taken = workshop.interleaved(workshop.count(7), ours, theirs)
    return [
        Reading(
            name="copy of a 500 MB tree",
            unit="s",
            ours=taken[0],
            theirs=taken[1],
            against="tar | ssh",
            ratio_at_most=RATIO,
            includes=f"login and {FILES} files of random bytes in 40 folders; each side with its default cipher",
        )
    ]


def make_tree(tree: Path) -> Path:
    """Files of 1 KB to 499 KB, the same ones each time."""
    dice = random.Random(500)
    for number in range(FILES):
        folder = tree / f"folder-{number % 40}"
        folder.mkdir(parents=True, exist_ok=True)
        size = (1 + number * 498 // (FILES - 1)) * MEGABYTES * 2
        (folder / f"file-{number}").write_bytes(dice.randbytes(size))
    return tree


def afterwards_gone(target: Path, copy: object) -> float:
    """Seconds of a copy to ``target``, which is removed outside the timing."""
    assert callable(copy)
    taken = seconds(lambda: copy(target))
    shutil.rmtree(target)
    return taken


def put(server: Server, tree: Path, to: Path, folder: Path) -> None:
    with ssh.connect(
        server.address,
        user=server.user,
        private_key=server.user_key.private,
        host_key=server.host_key.public,
        deadline=Deadline(timedelta(seconds=30)),
        access_folder=folder,
    ) as session:
        session.put(Tree(tree, str(to), ()), timedelta(minutes=5))


def key_file(folder: Path, server: Server) -> Path:
    (folder / "known_hosts").write_text(
        f"[{server.address.host}]:{server.address.port} {server.host_key.public}\n"
    )
    key = folder / "key"
    key.touch(mode=0o600)
    key.write_text(server.user_key.private)
    return key


def tar_ssh(server: Server, key: Path, tree: Path, to: Path) -> None:
    options = f"-F none -i {key} -o UserKnownHostsFile={key.parent}/known_hosts -p {server.address.port}"
    receive = quote(f"mkdir {to} && tar -x -C {to}")
    line = f"tar -c -C {tree} . | ssh {options} {server.user}@{server.address.host} {receive}"
    subprocess.run(["bash", "-o", "pipefail", "-c", line], check=True, stdin=subprocess.DEVNULL)
