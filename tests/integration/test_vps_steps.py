"""What examples/vps takes for done, and what it leaves when it is killed: its shell functions, in a folder.

Commands that would change this machine are scripts of the test's own.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kvm_action.plan.checks import CommandCheck
from kvm_action.plan.load import load_plan

VPS = Path(__file__).parents[2] / "examples/vps"
FUNCTIONS = (VPS / "install.sh").read_text().partition('\n[ "$(id -u)"')[0]
FIREWALL = "the firewall lets in SSH and RDP only"
LISTED = """\
table inet vps {
\tchain input {
\t\ttype filter hook input priority filter; policy drop;
\t\tiif "lo" accept
\t\tct state established,related accept
\t\tct state invalid drop
\t\tmeta l4proto { icmp, ipv6-icmp } accept
\t\tudp dport 68 accept comment "DHCP answers"
\t\tip6 saddr fe80::/10 udp dport 546 accept comment "DHCPv6 answers"
\t\ttcp dport { 22, 3389 } accept comment "SSH, RDP"
\t}
}
"""
"""As nft 1.0.6 and 1.1.3 list what the step loads."""
COMMANDS = {
    "systemctl": 'for unit do :; done; test -e "$PLACE/$1 $unit"',
    "dpkg-query": "shift 3; for package do echo installed; done",
    "nft": 'cat "$PLACE/live"',
    "unshare": 'cat "$PLACE/meant"',
    "runuser": """\
shift 3
for word do case $word in */key.pem) ls -l "$word" | grep -q "^....r" || exit ;; esac; done
"$@\"""",
    "install": """\
for word do shift; case $word in -o | -g | root | xrdp) ;; *) set -- "$@" "$word" ;; esac; done
exec /usr/bin/install "$@\"""",
    "openssl": """\
/usr/bin/openssl "$@" || exit
[ ! -e "$PLACE/dies in openssl $1" ] || kill -9 $PPID""",
    "mv": """\
/usr/bin/mv "$@"
[ ! -e "$PLACE/dies in mv" ] || kill -9 $PPID""",
    "apt-get": """\
echo "apt-get $*" >>"$PLACE/done"
case "$*" in
*update*)
    [ -e "$PLACE/locked" ] || exit 0
    rm "$PLACE/locked"
    echo "E: Could not get lock x" >&2
    exit 100
    ;;
*--fix-broken*) rm "$PLACE/interrupted" ;;
*) [ ! -e "$PLACE/interrupted" ] ;;
esac""",
    "dpkg": 'echo "dpkg $*" >>"$PLACE/done"; false',
    "sleep": "",
}

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="the host has no openssl"),
]


@dataclass
class Place:
    """A folder in the place of a machine."""

    folder: Path
    ended: list[subprocess.CompletedProcess[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name, script in COMMANDS.items():
            self.write(f"bin/{name}", f"#!/bin/sh\n{script}\n").chmod(0o755)
        self.write("xrdp/xrdp.ini", "security_layer=negotiate\ncertificate=\nkey_file=\n")
        for unit in ("xrdp", "xrdp-sesman", "nftables"):
            for state in ("is-active", "is-enabled"):
                self.write(f"{state} {unit}", "")
        (self.folder / "state").mkdir()

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    def shell(self, text: str) -> bool:
        variables = {
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
            "PLACE": str(self.folder),
            "VPS_STATE": f"{self.folder}/state",
        }
        command = ["sh", "-c", text, str(VPS / "install.sh")]
        self.ended.append(
            subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)
        )
        return self.ended[-1].returncode == 0

    def step(self, name: str, call: str) -> bool:
        step = (VPS / f"steps/{name}.sh").read_text()
        for path in ("xrdp", "nftables.conf"):
            step = step.replace(f"/etc/{path}", str(self.folder / path))
        return self.shell(f"{FUNCTIONS}\n{step}\n{call}")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def rdp(place: Place) -> Place:
    """With xrdp set up, which an `apply` does in a machine."""
    tls = place.folder / "xrdp/tls"
    place.write("xrdp/xrdp.ini", f"security_layer=tls\ncertificate={tls}/cert.pem\nkey_file={tls}/key.pem\n")
    assert place.step("rdp", "make_certificate"), place.ended
    assert place.step("rdp", "holds"), place.ended
    return place


@pytest.mark.parametrize("unit", ["xrdp", "xrdp-sesman"])
@pytest.mark.parametrize("state", ["is-active", "is-enabled"])
def test_rdp_is_not_done_while_one_of_its_two_services_is_down_or_disabled(
    rdp: Place, unit: str, state: str
) -> None:
    (rdp.folder / f"{state} {unit}").unlink()
    assert not rdp.step("rdp", "holds")


def test_rdp_is_not_done_with_a_key_that_only_root_reads_or_another_certificates(rdp: Place) -> None:
    key = rdp.folder / "xrdp/tls/key.pem"
    assert key.stat().st_mode & 0o777 == 0o640
    key.chmod(0o600)
    assert not rdp.step("rdp", "holds")
    key.chmod(0o640)
    assert rdp.step("rdp", "holds")
    subprocess.run(["openssl", "genrsa", "-out", key, "1024"], capture_output=True, check=True)
    assert not rdp.step("rdp", "holds")


def test_rdp_is_not_done_with_another_security_layer(rdp: Place) -> None:
    ini = rdp.folder / "xrdp/xrdp.ini"
    ini.write_text(ini.read_text().replace("=tls\n", "=negotiate\n"))
    assert not rdp.step("rdp", "holds")


@pytest.mark.parametrize("moment", ["openssl req", "mv"])
def test_a_run_that_is_killed_while_it_makes_the_certificate_leaves_none_that_is_taken(
    place: Place, moment: str
) -> None:
    dies = place.write(f"dies in {moment}", "")
    assert not place.step("rdp", "make_certificate")
    assert not place.step("rdp", "has_certificate")
    assert not (place.folder / "xrdp/tls/cert.pem").exists()
    dies.unlink()
    assert place.step("rdp", "make_certificate")
    assert place.step("rdp", "has_certificate")
    assert {path.name for path in (place.folder / "xrdp/tls").iterdir()} == {"cert.pem", "key.pem"}


def test_the_firewall_is_done_only_with_the_rules_that_the_script_wrote_and_no_others(place: Place) -> None:
    assert place.step("firewall", 'rules >"$PLACE/nftables.conf"')
    live, _ = place.write("live", LISTED), place.write("meant", LISTED)
    assert place.step("firewall", "holds")
    for other in (
        LISTED.replace("policy drop", "policy accept"),
        LISTED.replace("\t}\n", "\t\ttcp dport 8080 accept\n\t}\n"),
        LISTED + "table ip other {\n}\n",
        "",
    ):
        live.write_text(other)
        assert not place.step("firewall", "holds"), other
    live.write_text(LISTED)
    for state in ("is-active", "is-enabled"):
        (place.folder / f"{state} nftables").unlink()
        assert not place.step("firewall", "holds")
        place.write(f"{state} nftables", "")
    place.write("nftables.conf", "flush ruleset\n")
    assert not place.step("firewall", "holds")


@pytest.mark.parametrize(
    ("listed", "seen"),
    [
        (LISTED, ""),
        (LISTED.replace("policy drop", "policy accept"), "policy accept"),
        (LISTED.replace("\t}\n", '\t\ttcp dport 8080 accept comment "mine"\n\t}\n'), "> tcp dport 8080 accept"),
        (LISTED.replace('iif "lo" accept', "accept"), "> accept"),
        (LISTED.replace("\t}\n", "\t\tjump more\n\t}\n"), "> jump more"),
        ("", "< tcp dport { 22, 3389 } accept"),
    ],
)
def test_the_plan_names_what_the_firewall_lets_in_more(place: Place, listed: str, seen: str) -> None:
    [check] = [one for one in load_plan(VPS / "plan.yml").plan.checks if one.label == FIREWALL]
    assert isinstance(check, CommandCheck)
    place.write("live", listed)
    place.write("bin/sudo", '#!/bin/sh\nexec "$@"\n').chmod(0o755)
    assert place.shell(check.run) is not bool(seen)
    assert seen in place.ended[-1].stdout


def test_packages_that_a_killed_run_left_half_installed_are_mended_before_others_are_installed(
    place: Place,
) -> None:
    place.write("interrupted", "")
    assert place.shell(f"{FUNCTIONS}\nadd htop"), place.ended
    done = [line.split(" ", 1) for line in (place.folder / "done").read_text().splitlines()]
    assert [words[0] for words in done] == ["apt-get", "apt-get", "dpkg", "apt-get", "apt-get"]
    assert done[2][1] == "--configure -a"
    assert done[-1][1].endswith("htop")
    assert all("DPkg::Lock::Timeout=" in words[1] for words in done if words[0] == "apt-get")


def test_where_nothing_is_half_installed_nothing_is_mended(place: Place) -> None:
    assert place.shell(f"{FUNCTIONS}\nadd htop"), place.ended
    assert "configure" not in (place.folder / "done").read_text()
    assert "mending" not in place.ended[-1].stdout


def test_a_run_waits_for_others_who_fetch_the_lists_of_packages(place: Place) -> None:
    place.write("locked", "")
    assert place.shell(f"{FUNCTIONS}\nadd htop"), place.ended
    assert (place.folder / "done").read_text().count(" update") == 2
