"""Whole runs by the command line, on real machines: what a user sees, and what is left afterwards."""

import json
import os
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from accounts import ordinary_user
from disks import without_cloud_init
from tooling import BOOT, IMAGES, REPOSITORY, Tool, has_started, wait_for

SMALL = "machine: {image: debian-12, memory: 768MiB, cpus: 2}\nsnapshots: []\n"


@pytest.mark.parametrize(
    "image", [IMAGES[0], *(pytest.param(name, marks=pytest.mark.slow) for name in IMAGES[1:])]
)
def test_the_hello_example_passes_on_a_real_machine_and_everything_is_written_down(tool: Tool, image: str) -> None:
    ended = tool("run", str(REPOSITORY / "examples/hello/plan.yml"), "--image", image, "--start", "boot")
    assert ended.status == 0, ended.stdout + ended.stderr
    result = ended.result
    assert result["outcome"] == "passed"
    assert [step["name"] for step in result["steps"] if step["outcome"] not in ("passed", "skipped")] == []
    seen = result["milestones"]
    order = ["firmware", "kernel", "userspace", "port_open", "ssh_authenticated", "cloud_init_done"]
    assert sorted(order, key=lambda name: seen[name]) == order
    assert result["idempotence"] == {**result["idempotence"], "exit": 0, "changes": []}
    assert [snapshot["name"] for snapshot in result["snapshots"]] == ["clean-boot", "provisioned"]
    for name in ("report.md", "report.html", "junit.xml", "ctrf.json", "events.jsonl", "console.log",
                 "provision.log", "domain.xml", "snapshots.json", "artifacts/etc/hello.conf"):  # fmt: skip
        assert (ended.out / name).stat().st_size > 0, name
    assert str(ended.out) in ended.stdout


def test_a_script_that_fails_is_the_tests_failure_with_its_last_words(tool: Tool) -> None:
    script = r"printf 'abc\000\377 \033[31mred\033[0m ::error::x\n'; echo token $TOKEN; exit 3"
    plan = tool.write_plan(SMALL + f"provision: {{run: {json.dumps(script)}, env: {{TOKEN: hunter22}}}}\n"
                           "checks: [{port: 22}]\nartifacts: [/etc/os-release]\n")  # fmt: skip
    ended = tool("run", str(plan))
    assert ended.status == 1
    assert "exited with status 3" in ended.failure["message"]
    assert ended.failure["class"] == "provision"
    assert any("token ***" in line for line in ended.failure["evidence"])
    assert (ended.out / "guest/journal.txt").stat().st_size > 1000
    assert (ended.out / "screenshots/console.png").read_bytes().startswith(b"\x89PNG")
    for file in (file for file in ended.out.rglob("*") if file.is_file()):
        assert b"hunter22" not in file.read_bytes(), file
    assert "hunter22" not in ended.stdout + ended.stderr
    assert "\x1b" not in ended.stdout
    assert b"\xff" in (ended.out / "provision.log").read_bytes()


@pytest.mark.slow
def test_a_failed_check_is_the_tests_failure_and_all_others_are_still_told(tool: Tool) -> None:
    plan = tool.write_plan(SMALL + "provision: {run: 'true'}\nchecks: [{package: no-such-package}, {port: 22}]\n")
    ended = tool("run", str(plan))
    assert ended.status == 1
    assert ended.failure["class"] == "check"
    assert [check["outcome"] for check in ended.result["checks"]] == ["failed", "passed"]
    assert "no-such-package" in ended.failure["message"]


AGAIN = """
date +%s%N | sudo tee -a /etc/stamps
echo "key $TOKEN" | sudo tee -a /etc/keys
sudo mkdir -p /opt/app && date +%s%N | sudo tee /opt/app/built
date +%s%N | sudo tee /opt/app/last-run
sudo useradd "u$(date +%s%N)"
"""


@pytest.mark.slow
def test_a_script_that_changes_the_machine_again_is_caught_and_shown_with_a_difference(tool: Tool) -> None:
    rerun = "{paths: [/opt/app], ignore: [last-run]}"
    plan = tool.write_plan(
        f"{SMALL}provision: {{run: {json.dumps(AGAIN)}, env: {{TOKEN: hunter22}}, idempotent: {rerun}}}\n"
    )
    ended = tool("run", str(plan))
    assert ended.status == 1
    assert ended.failure["class"] == "idempotence"
    changes = {change["item"]: change for change in ended.result["idempotence"]["changes"]}
    files = {item for item, change in changes.items() if change["area"] == "file"}
    assert {"/etc/stamps", "/etc/keys", "/opt/app/built", "/etc/passwd", "/etc/shadow"} <= files
    assert "/opt/app/last-run" not in files
    assert {"user", "group"} <= {change["area"] for change in ended.result["idempotence"]["changes"]}
    assert changes["/etc/stamps"]["diff"].startswith("@@ -1 +1,2 @@\n ")
    assert changes["/etc/keys"]["diff"].endswith(" key ***\n+key ***\n")
    assert "not shown" in changes["/etc/shadow"]["diff"]
    assert any(line.startswith("+") for line in ended.failure["evidence"])
    for file in ("report.html", "report.md", "result.json"):
        text = (ended.out / file).read_text()
        assert "/etc/stamps" in text
        assert "hunter22" not in text


@pytest.mark.slow
def test_a_kernel_panic_under_the_script_is_named_and_ends_the_run_long_before_its_time_limit(tool: Tool) -> None:
    plan = tool.write_plan(SMALL + "provision: {run: 'echo c | sudo tee /proc/sysrq-trigger; sleep 600'}\n")
    ended = tool("run", str(plan))
    assert ended.status == 1
    assert "panicked" in ended.failure["message"]
    assert "Kernel panic" in (ended.out / "console.log").read_text(errors="replace")


def test_a_disk_without_a_boot_loader_is_reported_with_its_stage_within_seconds(tool: Tool) -> None:
    disk = tool.folder / "empty.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "1G"], check=True)
    ended = tool("run", str(tool.write_plan("provision: {run: 'true'}")), "--image", str(disk), timeout=60)
    assert ended.status == 3
    assert ended.failure["class"] == "boot"
    assert "boot loader" in ended.failure["message"]
    assert any("not a bootable disk" in line for line in ended.failure["evidence"])


@pytest.mark.slow
def test_a_guest_without_cloud_init_is_told_from_one_that_is_merely_slow(tool: Tool, images: Path) -> None:
    disk = without_cloud_init(images, tool.folder)
    ended = tool("run", str(tool.write_plan(SMALL + "provision: {run: 'true'}")), "--image", str(disk))
    assert ended.status == 3
    assert ended.failure["stage"] == "login prompt"
    assert "cloud-init" in ended.failure["hint"]


@pytest.mark.slow
def test_two_runs_of_one_plan_at_once_do_not_know_of_each_other(tool: Tool) -> None:
    plan = tool.write_plan(SMALL + "provision: {run: 'hostname'}\nchecks: [{port: 22}]\n")
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _n: tool("run", str(plan), timeout=600), range(2)))
    assert [ended.status for ended in both] == [0, 0], [ended.stderr for ended in both]
    assert both[0].result["guest"]["hostname"] != both[1].result["guest"]["hostname"]
    assert both[0].result["guest"]["address"] != both[1].result["guest"]["address"]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_evidence_and_nothing_else_within_seven_seconds(
    tool: Tool, number: signal.Signals, status: int
) -> None:
    plan = tool.write_plan(SMALL + "provision: {run: 'true'}\n")
    process, out = tool.start("run", str(plan), "--start", "boot")
    wait_for(lambda: has_started(out, "network") and (out / "console.log").stat().st_size > 200, BOOT, "the boot")
    process.send_signal(number)
    process.send_signal(number)  # people press it twice
    ended = tool.wait(process, out, timeout=30)
    assert ended.status == status
    assert ended.seconds < 7
    assert ended.result["outcome"] == "interrupted"
    assert (out / "report.html").exists()
    assert (out / "screenshots/console.png").exists()


def test_after_sigkill_the_machine_is_gone_by_itself_and_the_next_reap_takes_the_files(tool: Tool) -> None:
    plan = tool.write_plan(SMALL + "provision: {run: 'true'}\n")
    process, out = tool.start("run", str(plan))
    wait_for(lambda: has_started(out, "network"), BOOT, "the boot")
    assert tool.machines()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    wait_for(lambda: not tool.machines(), 30, "libvirt to destroy the machine")
    assert len(list((tool.home / "runs").iterdir())) == 1
    reaped = tool("reap")
    assert reaped.status == 0
    assert "removed" in reaped.stdout


def test_reaping_never_touches_a_running_machine(tool: Tool) -> None:
    plan = tool.write_plan(SMALL + "provision: {run: 'true'}\n")
    process, out = tool.start("run", str(plan))
    wait_for(lambda: has_started(out, "network"), BOOT, "the boot")
    assert "nothing was left behind" in tool("reap", "--all").stdout
    assert tool.machines()
    process.send_signal(signal.SIGTERM)
    assert tool.wait(process, out).status == 143


@pytest.mark.slow
def test_a_kept_machine_can_be_logged_in_to_as_the_report_says_and_reap_ends_it(tool: Tool) -> None:
    plan = tool.write_plan(SMALL + "provision: {run: 'false'}\nkeep: on-failure\n")
    ended = tool("run", str(plan))
    assert ended.status == 1
    command = ended.stdout.split("UTC: ")[1].split(";")[0].split()
    answer = subprocess.run([*command, "whoami"], check=True, capture_output=True, text=True, timeout=60)
    assert answer.stdout.strip() == "testuser"
    assert "destroyed" in tool("reap", "--all").stdout


@pytest.mark.slow
def test_a_full_host_disk_is_the_hosts_fault(tool: Tool, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small tmpfs")
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", small], check=True)
    try:
        (small / "images").symlink_to(tool.home / "images")
        tool.environment["KVM_E2E_HOME"] = str(small)
        tool.environment["KVM_E2E_ADMISSION"] = "off"  # it would not let the run in
        plan = tool.write_plan(SMALL + "provision: {run: 'dd if=/dev/urandom of=big bs=1M count=200; sync'}\n")
        ended = tool("run", str(plan))
        assert ended.status == 3, ended.stdout
        assert "disk" in ended.failure["message"]
        assert ended.failure["class"] == "host"
        assert not list((small / "runs").iterdir())
    finally:
        subprocess.run(["umount", small], check=True)


def test_an_unusable_kvm_that_was_asked_for_ends_quickly_and_says_why(tool: Tool) -> None:
    if "tcg" not in tool("doctor", "--json").stdout.lower():
        pytest.skip("KVM works here")
    ended = tool("run", str(tool.write_plan(SMALL + "provision: {run: 'true'}")), "--accel", "kvm", timeout=60)
    if ended.status == 0:
        pytest.skip("KVM works here")
    assert ended.status == 3
    assert ended.failure["class"] in ("host", "boot")
    assert "KVM" in ended.failure["message"]
    assert ended.failure["hint"]


def test_a_libvirt_that_does_not_run_is_said_so(tool: Tool) -> None:
    tool.environment["LIBVIRT_DEFAULT_URI"] = "qemu+unix:///system?socket=/nowhere/libvirt-sock"
    ended = tool("run", str(tool.write_plan(SMALL + "provision: {run: 'true'}")), timeout=60)
    assert ended.status == 3
    assert "libvirt does not answer" in ended.failure["message"]
    assert "systemctl" in ended.failure["hint"]


@pytest.mark.slow
def test_an_ordinary_user_needs_root_for_nothing(tool: Tool, images: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("this whole suite runs as an ordinary user already")
    with ordinary_user() as user:
        store = user.home / "images"
        shutil.copytree(images, store, ignore=shutil.ignore_patterns("work", "locks"))
        checkout = user.install_tool()
        user.own_everything()
        ended = user.run(
            ["/usr/bin/python3", "-m", "kvm_action", "run", "examples/hello/plan.yml", "--image", "debian-12"],
            cwd=checkout,
            environment={"KVM_E2E_HOME": str(user.home), "PYTHONPATH": str(user.home / "packages")},
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert not list((user.home / "runs").iterdir())
