"""A workstation is made once by examples/vps, then broken on purpose: each breakage is caught, and told why."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from tooling import REPOSITORY

from kvm_action.backends.kvm import KvmBackend
from kvm_action.backends.settings import Settings
from kvm_action.checks import run_checks
from kvm_action.guest import Guest, GuestOutput, Tree
from kvm_action.guest_state import Watched, capture, capture_again, differences
from kvm_action.images.store import Store
from kvm_action.plan.checks import Check, DesktopCheck, IdeCheck
from kvm_action.plan.load import LoadedPlan, load_plan
from kvm_action.plan.model import Accel, Keep, StartMode
from kvm_action.plan.rdp_check import RdpCheck
from kvm_action.results import CheckOutcome, CheckResult
from kvm_action.runs import new_run_id

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

PLAN = REPOSITORY / "examples/vps/plan.yml"
IMAGE = os.environ.get("IMAGE", "debian-12")
STEPS = ["user", "locale", "packages", "desktop", "rdp", "firewall", "ide", "other-ides"]
DESKTOP = DesktopCheck(session="xfce", user="developer")
GEANY = IdeCheck(command="geany", user="developer")
PASSWORD = SecretStr("only-for-this-test")
RDP = RdpCheck(user="developer", password=PASSWORD, timeout=timedelta(minutes=3))
XSESSION = "/home/developer/.xsession"
KEY = "/etc/xrdp/tls/key.pem"
FIREWALL = "the firewall lets in SSH and RDP only"
NOWHERE = {"VPS_URL_CODE": "file:///nowhere", "VPS_URL_CURSOR": "file:///nowhere"}
"""Whether the vendors' servers can be reached from here must not matter."""
MAKE_CODE = """\
set -e
rm -rf /root/code && mkdir -p /root/code/DEBIAN /root/code/usr/bin
printf 'Package: code\\nVersion: 1.99.0\\nArchitecture: all\\nMaintainer: a test\\nDescription: an editor\\n' \
    >/root/code/DEBIAN/control
printf '#!/bin/sh\\necho 1.99.0\\n' >/root/code/usr/bin/code && chmod 0755 /root/code/usr/bin/code
dpkg-deb --build /root/code /var/tmp/code.deb
"""
"""Makes a package of an editor, as a vendor's server would send one."""

HALF_INSTALLED = """\
dpkg-query --status geany | sed 's/^Status: .*/Status: install ok half-configured/' >/var/lib/dpkg/updates/0001
! apt-get check 2>/dev/null
"""
"""What dpkg leaves when it is killed while it installs geany; apt-get does nothing then."""
HOLD_LOCKS = """\
import fcntl, time
held = [open(path, "a") for path in ("/var/lib/apt/lists/lock", "/var/lib/dpkg/lock-frontend")]
for file in held:
    fcntl.lockf(file, fcntl.LOCK_EX)
time.sleep(15)
"""
"""As a server does by itself that was just started."""


class Workstation:
    """The machine, its plan, and ways to break it."""

    def __init__(self, guest: Guest, loaded: LoadedPlan) -> None:
        self.guest = guest
        self.loaded = loaded

    def install(self, **more: str) -> GuestOutput:
        """Run the script, with ``more`` variables for it."""
        provision = self.loaded.plan.provision
        variables = {name: value.get_secret_value() for name, value in provision.env.items()}
        words = " ".join(f"{name}={value}" for name, value in variables.items())
        passed_on = " ".join(f"{name}={value}" for name, value in {**NOWHERE, **more}.items())
        run = provision.run.replace("./install.sh", f"{passed_on} ./install.sh")
        return self.guest.run(f"cd {provision.workdir} && {words} {run}", timeout=timedelta(minutes=25))

    def root(self, command: str) -> str:
        ended = self.guest.run(command, timeout=timedelta(minutes=1), sudo=True)
        assert ended.ok, ended
        return ended.text

    def examine(self, checks: Sequence[Check]) -> tuple[CheckResult, ...]:
        return run_checks(self.guest, checks, folder=self.loaded.folder, on_result=lambda _result: None)

    def complaint(self, check: Check) -> str:
        [result] = self.examine([check])
        assert result.outcome is CheckOutcome.FAILED, result
        return result.message

    def log_out(self) -> None:
        """End the developer's sessions, as a reboot would."""
        self.root("loginctl terminate-user developer 2>/dev/null; pkill -u developer; true")
        self.root("rm -f /home/developer/.xsession-errors")

    def log_in(self) -> list[CheckResult]:
        """By RDP, and a look at the desktop after it."""
        self.log_out()
        results = self.examine([RDP, DESKTOP])
        if results[0].outcome is CheckOutcome.SKIPPED:
            pytest.skip(results[0].message)
        return list(results)

    @contextmanager
    def without(self, path: str) -> Iterator[None]:
        """With ``path`` away."""
        self.root(f"mv {path} {path}.away")
        try:
            yield
        finally:
            self.root(f"mv {path}.away {path}")

    @contextmanager
    def session_script(self, text: str) -> Iterator[None]:
        """With another ~/.xsession."""
        self.root(f"cp -p {XSESSION} /root/xsession; printf '%s\\n' '{text}' >{XSESSION}")
        try:
            yield
        finally:
            self.root(f"cp -p /root/xsession {XSESSION}")


@pytest.fixture(scope="module")
def workstation(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Iterator[Workstation]:
    folder = tmp_path_factory.mktemp("vps")
    loaded = load_plan(PLAN)
    settings = Settings(
        run=new_run_id(datetime.now(UTC)),
        image=IMAGE,
        accel=Accel.AUTO,
        keep=Keep.NEVER,
        store=Store(images),
        runs=folder / "runs",
        templates=folder / "templates",
        start=StartMode.BOOT,
        out=folder,
    )
    with KvmBackend(loaded.plan, settings, lambda _event: None).machine() as machine:
        for step in (machine.check_host, machine.create_disk, machine.create_seed, machine.launch):
            step()
        machine.wait_for_network()
        made = Workstation(machine.connect(), loaded)
        for copy in loaded.plan.files:
            tree = Tree(loaded.resolve(copy.source), copy.to, copy.exclude)
            made.guest.put(tree, timedelta(minutes=1))
        ended = made.install()
        assert ended.ok, ended.stdout[-3000:].decode() + ended.stderr[-3000:].decode()
        yield made


def test_everything_that_the_plan_asks_for_holds(workstation: Workstation) -> None:
    results = workstation.examine(workstation.loaded.plan.checks)
    assert not [one for one in results if one.outcome in (CheckOutcome.FAILED, CheckOutcome.ERROR)]
    assert list(dict.fromkeys(one.section for one in results)) == [
        "User configuration",
        "System packages",
        "Desktop environment",
        "RDP server",
        "IDE installations",
    ]


def test_a_second_run_takes_its_checkpoints_and_changes_nothing(workstation: Workstation) -> None:
    before = capture(workstation.guest, Watched())
    told = workstation.install().text
    assert not differences(before, capture_again(workstation.guest, Watched(), before))
    assert [step for step in STEPS if f"==> {step}: done before" in told] == STEPS[:-1]


BREAKAGES = {
    "desktop": {
        "the session script is gone": f"rm {XSESSION}",
    },
    "rdp": {
        "xrdp is stopped, and its session manager with it": "systemctl stop xrdp",
        "the session manager alone has died": (
            "systemctl kill --signal=KILL xrdp-sesman\n"
            "while systemctl is-active --quiet xrdp-sesman; do sleep 1; done\n"
            "systemctl is-active --quiet xrdp"
        ),
        "xrdp does not come up with the next boot": "systemctl disable --quiet xrdp",
        "its session manager does not": "systemctl disable --quiet xrdp-sesman",
        "a run was killed before the key was xrdp's": f"chown root:root {KEY} && chmod 0600 {KEY}",
        "a run was killed before the certificate fitted the key": f"openssl genrsa 2048 2>/dev/null >{KEY}",
        "a client may choose another security": (
            "sed -i 's/^security_layer=.*/security_layer=negotiate/' /etc/xrdp/xrdp.ini"
        ),
    },
    "firewall": {
        "a port more is open": "nft add rule inet vps input tcp dport 8080 accept",
        "another table has rules": "nft add table inet other",
        "what no rule drops is let in": "nft chain inet vps input '{ policy accept; }'",
        "there are no rules": "nft flush ruleset",
        "the rules do not come up with the next boot": "systemctl disable --quiet nftables",
        "another port is in the file": "sed -i 's/3389/3390/' /etc/nftables.conf",
    },
}


@pytest.mark.parametrize(
    ("step", "breakage"),
    [
        pytest.param(step, breakage, id=what)
        for step, breakages in BREAKAGES.items()
        for what, breakage in breakages.items()
    ],
)
def test_a_second_run_mends_what_was_broken_meanwhile(workstation: Workstation, step: str, breakage: str) -> None:
    workstation.root(breakage)
    told = workstation.install().text
    assert f"==> {step}\n" in told
    assert [other for other in STEPS if f"==> {other}: done before" in told] == [
        other for other in STEPS[:-1] if other != step
    ]
    checks = [one for one in workstation.loaded.plan.checks if not isinstance(one, RdpCheck)]
    results = workstation.examine(checks)
    assert not [one for one in results if one.outcome in (CheckOutcome.FAILED, CheckOutcome.ERROR)]


def test_a_run_mends_packages_that_another_left_half_installed(workstation: Workstation) -> None:
    workstation.root(HALF_INSTALLED)
    ended = workstation.install()
    assert ended.ok, ended
    assert "==> mending packages that were left half installed" in ended.text
    assert "==> ide\n" in ended.text
    assert workstation.examine([GEANY])[0].outcome is CheckOutcome.PASSED
    assert not workstation.root("dpkg --audit; ls /var/lib/dpkg/updates")


def test_a_run_waits_for_others_who_use_the_packages(workstation: Workstation) -> None:
    workstation.root("apt-get remove --yes --quiet=2 geany")
    workstation.root(f"setsid --fork python3 -c '{HOLD_LOCKS}' </dev/null >/dev/null 2>&1; sleep 2")
    assert "Could not get lock" in workstation.root("apt-get update 2>&1 || true"), "nobody holds it"
    ended = workstation.install()
    assert ended.ok, ended
    assert workstation.examine([GEANY])[0].outcome is CheckOutcome.PASSED


@pytest.mark.parametrize(
    ("opening", "seen"),
    [
        ("nft add rule inet vps input tcp dport 8080 accept", "tcp dport 8080 accept"),
        ("nft insert rule inet vps input accept", "> accept"),
        ("nft chain inet vps input '{ policy accept; }'", "policy accept"),
    ],
)
def test_a_firewall_that_lets_in_more_is_caught(workstation: Workstation, opening: str, seen: str) -> None:
    [firewall] = [one for one in workstation.loaded.plan.checks if one.label == FIREWALL]
    workstation.root(opening)
    try:
        assert seen in workstation.complaint(firewall)
    finally:
        workstation.root("systemctl restart nftables")


def test_an_ide_whose_download_is_reachable_is_installed_and_works_for_the_developer(
    workstation: Workstation,
) -> None:
    workstation.root(f"cat >/root/make.sh <<'END'\n{MAKE_CODE}END\nsh /root/make.sh")
    [code] = [one for one in workstation.loaded.plan.checks if one.label and one.label.startswith("VS Code")]
    try:
        told = workstation.install(VPS_URL_CODE="file:///var/tmp/code.deb").text
        assert "skipped code" not in told
        assert workstation.root("cat /var/lib/vps/ides").startswith("code: installed\n")
        assert workstation.examine([code])[0].outcome is CheckOutcome.PASSED
        assert workstation.root(code.run).strip() == "1.99.0"
        workstation.root("chmod 0700 /usr/bin/code")
        assert workstation.complaint(code)
    finally:
        workstation.root("apt-get purge --yes --quiet=2 code && printf '' >/var/lib/vps/ides")


def test_a_session_script_with_a_typing_error_is_named_with_what_it_starts(workstation: Workstation) -> None:
    with workstation.session_script("exec xfce4-sesion"):
        assert workstation.complaint(DESKTOP) == (
            f"{XSESSION} starts `exec xfce4-sesion`, not startxfce4 or xfce4-session"
        )


def test_a_login_by_rdp_leaves_a_desktop_that_lives(workstation: Workstation) -> None:
    rdp, desktop = workstation.log_in()
    assert rdp.outcome is CheckOutcome.PASSED, rdp.message
    assert desktop.outcome is CheckOutcome.PASSED, desktop.message
    assert desktop.actual.endswith("xfce4-session, xfwm4, xfce4-panel, xfdesktop run")


def test_a_session_that_shows_a_black_screen_is_caught_by_its_picture_and_its_processes(
    workstation: Workstation,
) -> None:
    with workstation.session_script("exec sleep infinity"):
        rdp, desktop = workstation.log_in()
    assert rdp.outcome is CheckOutcome.FAILED
    assert "blank" in rdp.message
    assert f"{XSESSION} starts `exec sleep infinity`, not startxfce4" in desktop.message
    assert "is open without xfce4-session, xfwm4, xfce4-panel, xfdesktop" in desktop.message


def test_a_session_that_ends_at_once_is_told_with_its_last_words(workstation: Workstation) -> None:
    with workstation.session_script("echo no desktop today >&2; exit 1"):
        rdp, desktop = workstation.log_in()
    assert rdp.outcome is CheckOutcome.FAILED
    assert "nothing is left of the session after the RDP login of developer" in desktop.message
    assert "no desktop today" in desktop.message


def test_a_desktop_whose_program_is_gone(workstation: Workstation) -> None:
    with workstation.without("/usr/bin/startxfce4"):
        assert "xfce.desktop starts startxfce4, which is not in the PATH of developer" in workstation.complaint(
            DESKTOP
        )


def test_a_desktop_that_nothing_starts(workstation: Workstation) -> None:
    workstation.root("systemctl stop xrdp xrdp-sesman")
    try:
        assert "neither xrdp nor a display manager runs" in workstation.complaint(DESKTOP)
    finally:
        workstation.root("systemctl start xrdp-sesman xrdp")


def test_an_ide_without_an_entry_in_the_menus(workstation: Workstation) -> None:
    with workstation.without("/usr/share/applications/geany.desktop"):
        assert "no menu of the desktop has it" in workstation.complaint(GEANY)


def test_an_ide_that_only_root_finds(workstation: Workstation) -> None:
    workstation.root("mv /usr/bin/geany /usr/sbin/geany")
    try:
        assert "developer does not find geany: it is not in their PATH" in workstation.complaint(GEANY)
    finally:
        workstation.root("mv /usr/sbin/geany /usr/bin/geany")


def test_an_ide_that_lacks_a_library_does_not_work(workstation: Workstation) -> None:
    library = workstation.root("ldd /usr/bin/geany | awk '/libgeany/ {print $3}'")
    with workstation.without(library):
        assert "`geany --version` ends with status 127" in workstation.complaint(GEANY)
