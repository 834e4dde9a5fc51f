"""Guests that mean harm, as real machines: the host keeps its memory, disk and files, and says what happened."""

import json
from pathlib import Path

import pytest
from tooling import Tool

SMALL = "machine: {image: debian-12, memory: 768MiB, cpus: 2}\nsnapshots: []\n"
MIB = 1 << 20

FLOOD = bytes.fromhex("faba f803 b041 ee fec0 ebfb".replace(" ", ""))
"""A boot sector in real mode: cli; mov dx, 0x3f8; mov al, 'A'; again: out dx, al; inc al; jmp again."""

TRAPS = r"""
sudo mkdir -p /srv/traps/deep && cd /srv/traps
sudo sh -c '
echo good > good.txt
ln -s /etc/shadow out
ln -s ../../../../../../etc/passwd up
ln -s good.txt inner
mknod device b 8 0
mkfifo pipe
printf evil > "$(printf "a\nb")"
printf evil > "$(printf "\033[31mred")"
printf evil > "::error::x"
truncate -s 1T sparse
chmod 4755 good.txt
i=0; while [ $i -lt 12000 ]; do printf %0100d 0 > deep/$i; i=$((i + 1)); done
'
printf '\000\377\033]0;owned\007::error::x\n\r##[error]y\n'
"""


@pytest.mark.slow
def test_a_console_that_floods_from_the_first_instruction_ends_the_run_and_takes_little_room(tool: Tool) -> None:
    disk = tool.folder / "flood.raw"
    disk.write_bytes(FLOOD.ljust(510, b"\0") + b"\x55\xaa" + bytes(MIB))
    plan = tool.write_plan("provision: {run: 'true'}\nmachine: {memory: 128MiB, cpus: 1}\n")
    ended = tool("run", str(plan), "--image", str(disk), "--start", "boot")
    assert ended.status == 3, ended.stdout
    assert "printed 16 MiB to its console and is not up" in ended.failure["message"]
    assert ended.failure["class"] == "boot"
    assert (ended.out / "console.log").stat().st_size < 17 * MIB
    assert sum(file.stat().st_size for file in ended.out.rglob("*") if file.is_file()) < 20 * MIB
    assert ended.result["measures"]["tool_memory_peak_bytes"] < 200 * MIB


@pytest.mark.slow
def test_artifacts_full_of_traps_bring_only_what_is_harmless(tool: Tool) -> None:
    plan = tool.write_plan(f"{SMALL}provision: {{run: {json.dumps(TRAPS)}}}\nartifacts: [/srv/traps/**]\n")
    ended = tool("run", str(plan))
    assert ended.status == 0, ended.stdout + ended.stderr
    copied = [path for path in (ended.out / "artifacts").rglob("*") if not path.is_dir()]
    names = {path.name for path in copied if path.parent.name == "traps"}
    assert {"good.txt", "inner", "::error::x"} <= names
    assert not names & {"out", "up", "device", "pipe", "a\nb", "\x1b[31mred"}
    assert len(copied) <= 10_000
    assert "only the first 10000 files were copied" in ended.stdout
    assert all(path.resolve().is_relative_to(ended.out.resolve()) for path in copied)
    assert not any(path.stat().st_mode & 0o7000 for path in copied)
    assert sum(occupied(path) for path in copied) < 64 * MIB
    assert "\x1b" not in ended.stdout + ended.stderr
    assert not [line for line in ended.stdout.splitlines() if line.strip().startswith("::") or "##[" in line]


def occupied(path: Path) -> int:
    return 0 if path.is_symlink() else path.stat().st_blocks * 512
