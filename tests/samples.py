"""Results as real runs leave them, for tests and demonstrations; and the nastiest text that a guest could send."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from kvm_action.errors import FailureClass
from kvm_action.results import (
    AccelInfo,
    Artifact,
    Change,
    CheckOutcome,
    CheckResult,
    Failure,
    GuestInfo,
    HostInfo,
    Idempotence,
    ImageInfo,
    Measures,
    Milestones,
    Outcome,
    PlanInfo,
    RunResult,
    SnapshotInfo,
    StartInfo,
    StepName,
    StepOutcome,
    StepResult,
)

STARTED = datetime(2026, 3, 14, 12, 2, 31, tzinfo=UTC)

HOSTILE = (
    "]]> </script><script>alert(1)</script> <img src=x onerror=alert(1)> \x00\x07 \x1b[31mred\x1b[0m "
    "\u202egnp.exe\u202c ::error::owned @octocat #1 [x](http://evil.example) ![i](http://evil.example/i.png) "
    "www.evil.example https://evil.example/a a@evil.example | `tick` ```fence``` ~~~ **bold** _it_ ~~no~~ "
    "<details> &amp; &lt; {{ 7*7 }} {% raw %} $(id) \\ \ud800 \uffff \u2028 - [ ] | --- |"
)
"""One line that tries to break out of every format at once."""

SCRIPT = (
    "==> Installing packages",
    "Get:1 trixie/main amd64 xfce4 all 4.20 [8,412 B]",
    "Get:2 trixie/main amd64 xrdp amd64 0.10.1-3.1 [590 kB]",
    "Fetched 241 MB in 31s (7,774 kB/s)",
    "Setting up xrdp (0.10.1-3.1) ...",
    "Created symlink '/etc/systemd/system/multi-user.target.wants/xrdp.service' → "
    "'/usr/lib/systemd/system/xrdp.service'.",
    "Setting up geany (2.0-2) ...",
    "==> Creating user developer",
    "==> Writing /etc/xrdp/xrdp.ini",
    "==> Enabling services",
    "==> Done in 191 s",
)


def steps(*ends: tuple[StepName, float, StepOutcome, str]) -> tuple[StepResult, ...]:
    """Steps one after the other, from (name, seconds, outcome, detail)."""
    at, found = STARTED, []
    for name, seconds, outcome, detail in ends:
        found.append(StepResult(name=name, outcome=outcome, started_at=at, seconds=seconds, detail=detail))
        at += timedelta(seconds=seconds + 0.01)
    return tuple(found)


_OK, _NO, _SKIP = StepOutcome.PASSED, StepOutcome.FAILED, StepOutcome.SKIPPED
_TO_COPY = (
    (StepName.PREREQUISITES, 0.31, _OK, "20.1 GiB memory, 182 GiB disk free"),
    (StepName.OVERLAY, 0.03, _OK, "25 GiB on debian-13"),
    (StepName.SEED, 0.02, _OK, "host key ed25519"),
    (StepName.LAUNCH, 0.42, _OK, "domain kvm-e2e-3f9a1c"),
    (StepName.NETWORK, 6.1, _OK, "127.0.0.1:40231"),
    (StepName.SSH, 1.9, _OK, "host key verified, cloud-init done"),
    (StepName.COPY, 0.64, _OK, "112 files, 48.2 MiB"),
)


def checks() -> tuple[CheckResult, ...]:
    """Nine checks that hold."""
    told = (
        ("user", "developer", "groups sudo, shell /bin/bash", "User developer exists, in sudo, with /bin/bash."),
        ("package", "xfce4", "installed", "Package xfce4 4.20 is installed."),
        ("package", "geany", "installed", "Package geany 2.0-2 is installed."),
        ("service", "xrdp", "running, enabled", "Service xrdp is running and enabled."),
        ("port", "3389", "listening", "Port 3389 is listening on 0.0.0.0."),
        ("file", "/etc/xrdp/xrdp.ini", "mode 0644", "File /etc/xrdp/xrdp.ini has mode 0644 and its line."),
        ("command", "id developer", "exit 0", "`id developer` exits 0 and prints sudo."),
        ("http", "http://127.0.0.1:8080/", "status 200", "The page answers 200 in 12 ms."),
        ("testinfra", "tests/test_vps.py::test_swap", "passed", "test_swap passed."),
    )
    return tuple(
        CheckResult(
            name=f"{kind} {name}",
            kind=kind,
            outcome=CheckOutcome.PASSED,
            seconds=0.05 + 0.03 * at,
            expected=expected,
            actual=expected,
            message=message,
        )
        for at, (kind, name, expected, message) in enumerate(told)
    )


def passed_run() -> RunResult:
    """Everything holds."""
    return RunResult(
        id="20260314-120231-3f9a1c",
        plan=PlanInfo(name="vps", digest="9d1c" * 16, path="examples/vps/plan.yml"),
        outcome=Outcome.PASSED,
        backend="kvm",
        started_at=STARTED,
        seconds=231.4,
        tool_version="0.1.0",
        accel=AccelInfo(name="kvm", reason="/dev/kvm ran a guest"),
        start=StartInfo(mode="boot", reason="no template of this image yet"),
        host=HostInfo(
            fingerprint="c0ffee1234567890",
            os="Debian GNU/Linux 13 (trixie)",
            kernel="6.12.48+deb13-amd64",
            cpu="AMD EPYC 9354P 32-Core Processor",
            cpus=8,
            memory_bytes=33_500_000_000,
            libvirt="11.3.0",
            hypervisor="QEMU 10.0.13",
        ),
        image=ImageInfo(name="debian-13", sha256="5b7e" * 16),
        guest=GuestInfo(
            os="Debian GNU/Linux 13 (trixie)",
            kernel="6.12.48+deb13-cloud-amd64",
            hostname="vps",
            address="127.0.0.1:40231",
        ),
        steps=steps(
            *_TO_COPY,
            (StepName.PROVISION, 191.2, _OK, "exit 0, 4,812 lines"),
            (StepName.VALIDATE, 3.4, _OK, "9 of 9 checks hold"),
            (StepName.IDEMPOTENCE, 22.8, _OK, "exit 0, nothing changed"),
            (StepName.SNAPSHOT, 2.1, _OK, "provisioned"),
            (StepName.EVIDENCE, 0.0, _SKIP, "nothing failed"),
            (StepName.REPORT, 0.2, _OK, "5 files"),
            (StepName.CLEANUP, 1.2, _OK, "nothing is left"),
        ),
        milestones=Milestones(
            firmware=0.3,
            kernel=1.1,
            userspace=2.2,
            network=4.9,
            port_open=6.2,
            ssh_authenticated=6.6,
            cloud_init_done=8.1,
        ),
        checks=checks(),
        idempotence=Idempotence(exit=0, seconds=22.8),
        snapshots=(
            SnapshotInfo(
                name="clean-boot",
                parent=None,
                created=STARTED + timedelta(seconds=10),
                created_by="kvm-e2e 0.1.0",
                method="external",
                memory=True,
                seconds=2.4,
                bytes=503_000_000,
                verified=True,
            ),
            SnapshotInfo(
                name="provisioned",
                parent="clean-boot",
                created=STARTED + timedelta(seconds=227),
                created_by="kvm-e2e 0.1.0",
                method="external",
                memory=False,
                seconds=2.1,
                bytes=1_310_000_000,
            ),
        ),
        measures=Measures(
            memory_peak_bytes=1_830_000_000,
            disk_bytes=1_420_000_000,
            tool_memory_peak_bytes=74_000_000,
            provision_seconds=191.2,
            overhead_seconds=17.4,
        ),
        artifacts=(
            Artifact(path="console.log", bytes=48_213, sha256="aa" * 32),
            Artifact(path="provision.log", bytes=402_113, sha256="bb" * 32),
            Artifact(path="domain.xml", bytes=3_812, sha256="cc" * 32),
            Artifact(path="artifacts/var/log/vps/install.log", bytes=61_200, sha256="dd" * 32),
        ),
        script_tail=SCRIPT,
    )


def failed_provision_run() -> RunResult:
    """The script exits 3."""
    tail = (
        *SCRIPT[:5],
        "==> Adding the repository of the editor",
        "gpg: no valid OpenPGP data found.",
        "E: The repository 'https://packages.example.org trixie InRelease' is not signed.",
        "install.sh: line 84: adding the repository failed, giving up",
    )
    return replace(
        passed_run(),
        outcome=Outcome.FAILED,
        exit_code=1,
        seconds=55.1,
        failure=Failure(
            failure_class=FailureClass.PROVISION,
            step=StepName.PROVISION,
            message="`sudo ./install.sh` exited 3 after 41.3 s",
            hint="All of the output is in provision.log. "
            "Run it again with `--keep on-failure` to look around inside the machine.",
            evidence=tail[-4:],
        ),
        steps=steps(
            *_TO_COPY,
            (StepName.PROVISION, 41.3, _NO, "exit 3, 904 lines"),
            (StepName.VALIDATE, 0, _SKIP, "the script failed"),
            (StepName.IDEMPOTENCE, 0, _SKIP, "the script failed"),
            (StepName.SNAPSHOT, 0, _SKIP, "the script failed"),
            (StepName.EVIDENCE, 2.8, _OK, "journal, dmesg, screenshot"),
            (StepName.REPORT, 0.2, _OK, "5 files"),
            (StepName.CLEANUP, 1.3, _OK, "nothing is left"),
        ),
        checks=(),
        idempotence=None,
        snapshots=passed_run().snapshots[:1],
        measures=replace(passed_run().measures, provision_seconds=41.3, overhead_seconds=13.8),
        script_tail=tail,
    )


def failed_check_run() -> RunResult:
    """Two checks do not hold, one could not be carried out, one was skipped; a second run changes something."""
    good = checks()
    bad = (
        replace(
            good[3],
            outcome=CheckOutcome.FAILED,
            seconds=1.2,
            actual="failed (exit-code), enabled",
            message="Service xrdp should be running; systemd says it failed with exit code 1.",
        ),
        replace(
            good[4],
            outcome=CheckOutcome.FAILED,
            actual="nothing listens",
            message="Port 3389 should be listening; nothing listens on it.",
        ),
        replace(
            good[7],
            outcome=CheckOutcome.ERROR,
            actual="",
            message="The page could not be asked for: curl is not installed in the guest.",
        ),
        replace(good[8], outcome=CheckOutcome.SKIPPED, actual="", message="pytest: no module named vps."),
    )
    return replace(
        passed_run(),
        outcome=Outcome.FAILED,
        exit_code=1,
        seconds=239.9,
        failure=Failure(
            failure_class=FailureClass.CHECK,
            step=StepName.VALIDATE,
            message="2 of 9 checks do not hold: service xrdp, port 3389",
            hint="The journal of the machine is in guest/journal.txt.",
            evidence=(
                "xrdp.service: Main process exited, code=exited, status=1/FAILURE",
                "xrdp[1893]: [ERROR] Cannot read private key file /etc/xrdp/key.pem: Permission denied",
                "systemd[1]: xrdp.service: Failed with result 'exit-code'.",
            ),
        ),
        steps=steps(
            *_TO_COPY,
            (StepName.PROVISION, 191.2, _OK, "exit 0, 4,812 lines"),
            (StepName.VALIDATE, 4.6, _NO, "5 of 9 checks hold"),
            (StepName.IDEMPOTENCE, 24.9, _NO, "exit 0, 2 changes"),
            (StepName.SNAPSHOT, 0, _SKIP, "checks failed"),
            (StepName.EVIDENCE, 2.8, _OK, "journal, dmesg, screenshot"),
            (StepName.REPORT, 0.2, _OK, "5 files"),
            (StepName.CLEANUP, 1.2, _OK, "nothing is left"),
        ),
        checks=(*good[:3], *bad[:2], good[5], good[6], *bad[2:]),
        idempotence=Idempotence(
            exit=0,
            seconds=24.9,
            changes=(
                Change(
                    area="file",
                    item="/etc/fstab",
                    before="412 bytes",
                    after="451 bytes",
                    diff="@@ -3,2 +3,3 @@\n UUID=6e1c / ext4 rw 0 1\n /swapfile none swap sw 0 0\n"
                    "+/swapfile none swap sw 0 0\n",
                ),
                Change(area="service", item="xrdp", before="failed", after="activating"),
            ),
        ),
    )


def sectioned_run() -> RunResult:
    """`failed_check_run` of a plan that groups its checks; the last one stands in no section."""
    run = failed_check_run()
    named = ("User configuration", *["System packages"] * 2, *["RDP server"] * 2, *["IDE installations"] * 3, "")
    grouped = tuple(replace(one, section=section) for one, section in zip(run.checks, named, strict=True))
    return replace(run, checks=grouped)


def stuck_boot_run() -> RunResult:
    """The machine panics before it finds its root disk."""
    console = (
        "[    1.902313] virtio_blk virtio2: [vda] 52428800 512-byte logical blocks (26.8 GB/25.0 GiB)",
        '[    2.113920] VFS: Cannot open root device "UUID=6e1c2a44" or unknown-block(0,0): error -6',
        '[    2.120114] Please append a correct "root=" boot option; here are the available partitions:',
        "[    2.131870] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
    )
    return replace(
        passed_run(),
        outcome=Outcome.ERROR,
        exit_code=3,
        seconds=9.8,
        accel=AccelInfo(name="tcg", reason="no vmx or svm in /proc/cpuinfo"),
        failure=Failure(
            failure_class=FailureClass.BOOT,
            step=StepName.NETWORK,
            message="the machine stopped booting: its kernel panicked 2.1 s after the start",
            hint="The root file system was not found. Check the image with `kvm-e2e image inspect debian-13`.",
            stage="kernel",
            evidence=console,
        ),
        guest=None,
        steps=steps(
            *_TO_COPY[:4],
            (StepName.NETWORK, 4.2, StepOutcome.ERROR, "kernel panic"),
            *(
                (name, 0.0, _SKIP, "the machine did not come up")
                for name in (StepName.SSH, StepName.COPY, StepName.PROVISION, StepName.VALIDATE, StepName.SNAPSHOT)
            ),
            (StepName.EVIDENCE, 0.4, _OK, "console, screenshot"),
            (StepName.REPORT, 0.2, _OK, "5 files"),
            (StepName.CLEANUP, 1.1, _OK, "nothing is left"),
        ),
        milestones=Milestones(firmware=0.4, kernel=1.3),
        checks=(),
        idempotence=None,
        snapshots=(),
        measures=Measures(tool_memory_peak_bytes=61_000_000),
        artifacts=passed_run().artifacts[:1],
        script_tail=(),
    )


def interrupted_run() -> RunResult:
    """Somebody cancelled the job while the script ran."""
    return replace(
        passed_run(),
        outcome=Outcome.INTERRUPTED,
        exit_code=143,
        seconds=33.4,
        failure=Failure(
            failure_class=FailureClass.INTERRUPTED,
            step=StepName.PROVISION,
            message="SIGTERM ended the run while the script was running",
            hint="Nothing is left of it. Start it again.",
            evidence=SCRIPT[3:5],
        ),
        steps=steps(
            *_TO_COPY,
            (StepName.PROVISION, 20.4, StepOutcome.INTERRUPTED, "stopped after 611 lines"),
            (StepName.VALIDATE, 0, _SKIP, "interrupted"),
            (StepName.SNAPSHOT, 0, _SKIP, "interrupted"),
            (StepName.EVIDENCE, 1.1, _OK, "console, journal"),
            (StepName.REPORT, 0.1, _OK, "5 files"),
            (StepName.CLEANUP, 1.4, _OK, "nothing is left"),
        ),
        checks=(),
        idempotence=None,
        snapshots=(),
        measures=replace(passed_run().measures, provision_seconds=20.4, overhead_seconds=13.0),
        script_tail=SCRIPT[:5],
    )


def plan_error_run() -> RunResult:
    """The least that a result can hold: it ended before anything was known."""
    return RunResult(
        id="20260314-120231-000000",
        plan=PlanInfo(name="vps", digest=""),
        outcome=Outcome.ERROR,
        backend="kvm",
        started_at=STARTED,
        seconds=0.0,
        tool_version="0.1.0",
        exit_code=3,
        failure=Failure(
            failure_class=FailureClass.HOST,
            step=StepName.PREREQUISITES,
            message="libvirt does not answer at qemu:///session",
            hint="`kvm-e2e doctor` says what is missing.",
        ),
    )


def hostile_run(text: str = HOSTILE) -> RunResult:
    """`failed_check_run` with ``text`` in each place that a guest, a script or a plan can write to."""
    run = failed_check_run()
    assert run.failure is not None
    assert run.guest is not None
    assert run.idempotence is not None
    return replace(
        run,
        plan=replace(run.plan, name=text, path=f"{text}/plan.yml"),
        failure=replace(run.failure, message=text, hint=text, evidence=(text, "x" * 100_000)),
        guest=replace(run.guest, os=text, kernel=text, hostname=text),
        steps=tuple(replace(step, detail=text) for step in run.steps),
        checks=tuple(
            replace(check, name=text, kind=text, section=text, expected=text, actual=text, message=text)
            for check in run.checks
        ),
        idempotence=replace(
            run.idempotence,
            changes=(Change(area=text, item=text, before=text, after=text, diff=f"+{text}\n" * 3),),
        ),
        snapshots=tuple(replace(shot, name=text, detail=text) for shot in run.snapshots),
        artifacts=(Artifact(path=f"artifacts/{text}", bytes=1, sha256="ee" * 32),),
        script_tail=(text, "````", "y" * 100_000, "\x1b]0;title\x07\x1b[2Jgone"),
    )


def large_run(count: int = 5000) -> RunResult:
    """Thousands of checks, and the longest tail."""
    one = checks()[1]
    return replace(
        failed_check_run(),
        checks=tuple(replace(one, name=f"package p{at}") for at in range(count)) + failed_check_run().checks,
        script_tail=tuple(f"line {at} " + "x" * 80 for at in range(2000)),
    )
