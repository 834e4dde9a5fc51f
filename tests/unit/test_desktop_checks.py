"""Desktops and IDEs of a guest that answers by a script: what is missing is said, and nothing good is blamed."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from fakes import Answer, FakeGuest
from hypothesis import given
from hypothesis import strategies as st

from kvm_action.checks import run_checks
from kvm_action.checks.backend import allow_until
from kvm_action.checks.batch import Batches
from kvm_action.checks.desktop import check_desktop
from kvm_action.checks.desktop_entry import parse_entry
from kvm_action.checks.facts import Verdict
from kvm_action.checks.records import records
from kvm_action.checks.runner import host_over
from kvm_action.plan.checks import Check, DesktopCheck, IdeCheck
from kvm_action.results import CheckOutcome, CheckResult
from kvm_action.wait import Deadline

XFCE = "[Desktop Entry]\nType=Application\nName=Xfce Session\nExec=startxfce4\nDesktopNames=XFCE\n"
STARTWM = """\
#!/bin/sh
# xrdp X session start script
if test -r /etc/profile; then . /etc/profile; fi
test -x /etc/X11/Xsession && exec /etc/X11/Xsession
exec /bin/sh /etc/X11/Xsession
"""
ALIVE = ("Xorg", "xfce4-session", "xfwm4", "xfce4-panel", "xfdesktop")


def told(*pairs: tuple[str, str]) -> str:
    return "".join(f"\x1e{name}\x1f{text}\n" for name, text in pairs)


@dataclass(frozen=True)
class Box:
    """What the guest has of a desktop; as a fresh XFCE with xrdp unless told otherwise."""

    sessions: dict[str, str] = field(default_factory=lambda: {"/usr/share/xsessions/xfce.desktop": XFCE})
    manager: str = ""
    xrdp: str = "xrdp\nxrdp-sesman"
    scripts: dict[str, str] = field(
        default_factory=lambda: {"/etc/xrdp/startwm.sh": STARTWM, "/etc/X11/Xsession": ""}
    )
    not_executable: tuple[str, ...] = ()
    x_session_manager: str = "/usr/bin/startxfce4"
    default: str = ""
    """All lines of the answer, where they tell more than where x-session-manager leads."""
    errors: str = ""
    processes: tuple[str, ...] = ()
    programs: tuple[str, ...] = ("startxfce4", "/usr/bin/startxfce4", "xfce4-session", "/bin/sh")
    home: str = "/home/developer"

    def answers(self) -> dict[str, Answer]:
        scripts = [
            pair
            for path, text in self.scripts.items()
            for pair in (
                (f"file {path}", text),
                (f"mode {path}", "" if path in self.not_executable else "executable"),
            )
        ]
        looked = told(
            ("user", "developer"),
            ("home", self.home),
            *((f"session {path}", text) for path, text in self.sessions.items()),
            ("manager", self.manager),
            ("xrdp", self.xrdp),
            *scripts,
            *([("default", default)] if (default := self._default()) else []),
            ("errors", self.errors),
            ("processes", "\n".join(self.processes)),
        )
        found = told(
            ("user", "developer"), ("in", ""), *((f"found {name}", f"/x/{name}") for name in self.programs)
        )
        return {"^true$": "", "r processes": looked, "r .found": found, "^uname": "Linux\n"}

    def _default(self) -> str:
        manager = self.x_session_manager
        return self.default or (f"x-session-manager\n{manager}" if manager else "")

    def with_script(self, path: str, text: str) -> "Box":
        return replace(self, scripts={**self.scripts, path: text})


def desktop(box: Box, login: CheckOutcome | None = None, check: DesktopCheck | None = None) -> Verdict:
    check = check or DesktopCheck(session="xfce", user="developer")
    host = host_over(Batches(FakeGuest(box.answers())))
    allow_until(host, Deadline(check.timeout))
    return check_desktop(check, host, {"developer": login} if login else {})


def complaint(box: Box, login: CheckOutcome | None = None) -> str:
    verdict = desktop(box, login)
    assert verdict.outcome is CheckOutcome.FAILED, verdict
    return verdict.message


# --- desktop: what holds


def test_a_fresh_xfce_with_xrdp_can_start() -> None:
    verdict = desktop(Box())
    assert verdict == Verdict(
        CheckOutcome.PASSED,
        expected="/usr/share/xsessions/xfce.desktop starts startxfce4, xrdp or a display manager starts it,"
        " its processes live in a session that is open",
        actual="found, xrdp by x-session-manager, none is open",
    )


@pytest.mark.parametrize(
    "script",
    [
        "exec startxfce4\n",
        "#!/bin/sh\nexport X=1; exec dbus-launch --exit-with-session xfce4-session\n",
        "xfce4-session",
        '[ -x /usr/bin/startxfce4 ] && exec "/usr/bin/startxfce4"',
    ],
)
def test_the_users_own_session_script_leads_to_it(script: str) -> None:
    box = Box(x_session_manager="").with_script("/home/developer/.xsession", script)
    assert "xrdp by /home/developer/.xsession" in desktop(box).actual


def test_a_session_script_that_calls_another_is_followed() -> None:
    box = Box().with_script("/home/developer/.xsession", 'exec "$HOME/bin/desk"\n')
    box = box.with_script("/home/developer/bin/desk", "#!/bin/sh\nstartxfce4\n")
    assert "xrdp by /home/developer/bin/desk" in desktop(box).actual


def test_a_startwm_of_the_users_own_comes_before_the_systems() -> None:
    box = Box(x_session_manager="").with_script("/home/developer/startwm.sh", "#!/bin/sh\nstartxfce4\n")
    assert "xrdp by /home/developer/startwm.sh" in desktop(box).actual


def test_a_display_manager_is_enough_without_xrdp_or_with_one_that_leads_elsewhere() -> None:
    assert "lightdm" in desktop(Box(manager="lightdm.service", xrdp="")).actual
    assert "lightdm" in desktop(Box(manager="lightdm.service", x_session_manager="/usr/bin/gnome-session")).actual


def test_a_session_that_is_open_is_seen_to_live() -> None:
    verdict = desktop(Box(processes=ALIVE))
    assert verdict.outcome is CheckOutcome.PASSED
    assert verdict.actual.endswith("xfce4-session, xfwm4, xfce4-panel, xfdesktop run")


def test_a_session_that_ended_with_its_connection_is_no_fault_when_the_login_was_good() -> None:
    assert desktop(Box(), CheckOutcome.PASSED).outcome is CheckOutcome.PASSED
    assert desktop(Box(), CheckOutcome.SKIPPED).outcome is CheckOutcome.PASSED


def test_of_a_desktop_that_we_do_not_know_only_what_the_plan_names_has_to_live() -> None:
    mate = {"/usr/share/xsessions/mate.desktop": "[Desktop Entry]\nExec=mate-session\n"}
    box = Box(
        sessions=mate, manager="lightdm.service", processes=("Xorg", "mate-session"), programs=("mate-session",)
    )
    assert desktop(box, check=DesktopCheck(session="mate")).outcome is CheckOutcome.PASSED
    verdict = desktop(box, check=DesktopCheck(session="mate", processes=("mate-session", "marco")))
    assert verdict.message == "a session of developer is open without marco"


# --- desktop: what does not hold


def test_a_missing_session_says_which_there_are() -> None:
    box = Box(sessions={"/usr/share/xsessions/openbox.desktop": "[Desktop Entry]\nExec=openbox\n"})
    assert complaint(box) == "there is no session xfce.desktop in /usr/share/xsessions; there is openbox"
    assert complaint(Box(sessions={})).endswith("there is none at all")


def test_a_missing_user_is_one_complaint() -> None:
    assert complaint(Box(home="")) == "user developer is not there"


def test_a_session_whose_program_is_gone() -> None:
    box = Box(programs=("/bin/sh",))
    assert complaint(box).startswith(
        "/usr/share/xsessions/xfce.desktop starts startxfce4, which is not in the PATH of developer"
    )


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("exec xfce4-sesion\n", "starts `exec xfce4-sesion`, not startxfce4 or xfce4-session"),
        ("# exec startxfce4\nexec sleep infinity\n", "starts `exec sleep infinity`, not"),
        ("", "starts `nothing`, not"),
        ("#!/bin/zsh\nexec startxfce4\n", "needs /bin/zsh, which is not in the PATH of developer"),
    ],
)
def test_a_session_script_that_leads_nowhere_is_named_with_what_it_starts(script: str, says: str) -> None:
    box = Box().with_script("/home/developer/.xsession", script)
    assert complaint(box).startswith(f"/home/developer/.xsession {says}")


def test_another_desktop_as_the_systems_session_manager() -> None:
    assert complaint(Box(x_session_manager="/usr/bin/openbox-session")) == (
        "developer has no ~/.xsession, and x-session-manager leads to /usr/bin/openbox-session,"
        " not startxfce4 or xfce4-session"
    )


I3 = {"/usr/share/xsessions/i3.desktop": "[Desktop Entry]\nExec=i3\nTryExec=i3\n"}


def test_a_window_manager_alone_is_a_session_where_there_is_no_session_manager() -> None:
    box = Box(sessions=I3, default="x-window-manager\n/usr/bin/i3", programs=("i3", "/usr/bin/i3", "/bin/sh"))
    verdict = desktop(box, check=DesktopCheck(session="i3", user="developer"))
    assert (verdict.outcome, "xrdp by x-window-manager" in verdict.actual) == (CheckOutcome.PASSED, True)


def test_a_window_manager_is_not_started_where_a_session_manager_comes_first() -> None:
    verdict = desktop(Box(sessions=I3), check=DesktopCheck(session="i3", user="developer"))
    assert "x-session-manager leads to /usr/bin/startxfce4, not i3" in verdict.message


def test_a_session_is_known_by_any_name_of_its_program() -> None:
    cinnamon = {"/usr/share/xsessions/cinnamon.desktop": "[Desktop Entry]\nExec=cinnamon-session-cinnamon\n"}
    box = Box(
        sessions=cinnamon,
        default="x-session-manager\n/usr/bin/cinnamon-session\n"
        "/usr/bin/x-session-manager\n/usr/bin/cinnamon-session-cinnamon\n/usr/bin/cinnamon-session",
        programs=("cinnamon-session-cinnamon", "/usr/bin/cinnamon-session", "/bin/sh"),
    )
    assert desktop(box, check=DesktopCheck(session="cinnamon", user="developer")).outcome is CheckOutcome.PASSED


@pytest.mark.parametrize(
    ("box", "says"),
    [
        (Box(xrdp=""), "neither xrdp nor a display manager runs"),
        (Box(xrdp="xrdp"), "not running: xrdp-sesman"),
        (Box(scripts={}), "there is no such file"),
        (Box(not_executable=("/etc/xrdp/startwm.sh",)), "it is not executable"),
    ],
)
def test_nothing_that_starts_it(box: Box, says: str) -> None:
    assert says in complaint(box)


def test_a_session_that_is_open_and_half_dead_says_what_is_missing_and_its_last_words() -> None:
    box = Box(processes=("Xorg", "xfce4-session"), errors="xfwm4: cannot open display\n")
    assert complaint(box) == (
        "a session of developer is open without xfwm4, xfce4-panel, xfdesktop;"
        " ~/.xsession-errors ends: xfwm4: cannot open display"
    )


def test_a_login_that_failed_and_left_nothing_is_told_here_too() -> None:
    assert "nothing is left of the session after the RDP login of developer" in complaint(
        Box(), CheckOutcome.FAILED
    )


# --- ide

GEANY = "[Desktop Entry]\nType=Application\nName=Geany\nExec=geany %F\nTryExec=geany\n"


def ide(check: IdeCheck, *pairs: tuple[str, str], found: tuple[str, ...] = ()) -> CheckResult:
    answers: dict[str, Answer] = {
        "^true$": "",
        "^uname": "Linux\n",
        "r .found": told(("user", "developer"), ("in", ""), *((f"found {name}", f"/x/{name}") for name in found)),
        "r path": "Welcome to this machine!\n" + told(("user", "developer"), ("login", ""), ("in", ""), *pairs),
    }
    (result,) = run_checks(FakeGuest(answers), [check], folder=Path(), on_result=lambda _result: None)
    return result


def installed(entry: str = GEANY, path: str = "/usr/share/applications/geany.desktop") -> list[tuple[str, str]]:
    return [
        ("path", "/usr/bin/geany"),
        ("PATH", "/usr/bin:/bin"),
        ("version", "Geany, the flyweight IDE\ngeany 1.38 (built on 2023-01-01)\n"),
        ("status", "0"),
        ("warnings", "Gtk-WARNING 12: no display\n"),
        (f"entry {path}", entry),
    ]


CHECK = IdeCheck(command="geany", user="developer")


def test_an_ide_that_its_user_finds_with_version_and_entry() -> None:
    result = ide(CHECK, *installed())
    assert result.outcome is CheckOutcome.PASSED, result.message
    assert result.actual == (
        "/usr/bin/geany, geany 1.38 (built on 2023-01-01), /usr/share/applications/geany.desktop"
    )


def test_an_ide_outside_the_users_path_says_where_was_looked() -> None:
    result = ide(CHECK, ("path", ""), ("PATH", "/usr/bin:/bin"))
    assert result.message == "developer does not find geany: it is not in their PATH (/usr/bin:/bin)"


@pytest.mark.parametrize(
    ("status", "says"),
    [("127", "status 127: Gtk-WARNING 12"), ("124", "`geany --version` does not end")],
)
def test_an_ide_that_cannot_even_tell_its_version_does_not_work(status: str, says: str) -> None:
    result = ide(CHECK, ("status", status), *(pair for pair in installed() if pair[0] != "status"))
    assert (result.outcome, says in result.message) == (CheckOutcome.FAILED, True)


def test_another_version_is_told() -> None:
    assert ide(replace_version("1.38"), *installed()).outcome is CheckOutcome.PASSED
    assert ide(replace_version("2.0"), *installed()).message == (
        "`geany --version` says geany 1.38 (built on 2023-01-01), not 2.0"
    )


def replace_version(version: str) -> IdeCheck:
    return IdeCheck(command="geany", user="developer", version=version)


@pytest.mark.parametrize(
    "entry", ["", "garbage", "[Desktop Entry]\nExec=gedit\n", f"{GEANY}NoDisplay=true\n", f"{GEANY}Hidden=true\n"]
)
def test_an_ide_that_no_menu_shows(entry: str) -> None:
    result = ide(CHECK, *installed(entry, "/usr/share/applications/other.desktop"))
    assert "no menu of the desktop has it" in result.message


def test_an_entry_that_starts_what_is_not_there() -> None:
    entry = "[Desktop Entry]\nExec=/opt/geany/bin/geany %F\n"
    assert ide(CHECK, *installed(entry)).message == (
        "/usr/share/applications/geany.desktop starts /opt/geany/bin/geany, which is not in the PATH of developer"
    )
    assert ide(CHECK, *installed(entry), found=("/opt/geany/bin/geany",)).outcome is CheckOutcome.PASSED


def test_an_entry_by_another_name_can_be_given() -> None:
    check = IdeCheck(command="geany", entry="editor.desktop")
    told_ = installed(path="/usr/share/applications/editor.desktop")
    assert ide(check, *told_).outcome is CheckOutcome.PASSED
    assert "there is no .desktop entry editor.desktop" in ide(check, *installed()).message


@pytest.mark.parametrize(
    ("pairs", "outcome", "says"),
    [
        ([("missing", "")], CheckOutcome.FAILED, "user developer is not there"),
        ([("login", "This account is currently not available.")], CheckOutcome.FAILED, "currently not available"),
        ([("forbidden", "")], CheckOutcome.ERROR, "give the plan's user sudo"),
    ],
)
def test_a_user_who_cannot_log_in(pairs: list[tuple[str, str]], outcome: CheckOutcome, says: str) -> None:
    answers: dict[str, Answer] = {"^true$": "", "^uname": "Linux\n", "r path": told(("user", "developer"), *pairs)}
    (result,) = run_checks(FakeGuest(answers), [CHECK], folder=Path(), on_result=lambda _result: None)
    assert (result.outcome, says in result.message) == (outcome, True), result


# --- what a guest may say


@given(st.binary())
def test_any_answer_can_be_read_as_records(output: bytes) -> None:
    assert isinstance(records(output), tuple)


@given(st.text())
def test_any_text_can_be_read_as_a_desktop_entry(text: str) -> None:
    for whole in (text, f"[Desktop Entry]\n{text}", f"[Desktop Entry]\nExec={text}"):
        entry = parse_entry("/x/y.desktop", whole)
        assert entry is None or isinstance(entry.program, str)


@given(st.text(), st.text(), st.text())
def test_whatever_stands_in_its_scripts_a_desktop_gets_a_verdict(own: str, startwm: str, session: str) -> None:
    scripts = {
        "/etc/xrdp/startwm.sh": startwm,
        "/etc/X11/Xsession": session,
        "/home/developer/.xsession": own,
    }
    assert desktop(Box(scripts=scripts)).outcome in (CheckOutcome.PASSED, CheckOutcome.FAILED)


@pytest.mark.parametrize(
    ("line", "program"),
    [
        ("geany %F", "geany"),
        ("env A=b /snap/bin/code --x %F", "/snap/bin/code"),
        (r'"/opt/My IDE/run" %U', "/opt/My IDE/run"),
        ('"open', ""),
        ("", ""),
    ],
)
def test_what_an_entry_starts(line: str, program: str) -> None:
    entry = parse_entry(
        "/x/y.desktop", f"# a comment\n[Desktop Entry]\nName[de]=x=y\nExec={line}\n[Desktop Action a]\n"
    )
    assert entry is not None
    assert entry.program == program


@pytest.mark.parametrize("check", [DesktopCheck(session="xfce"), CHECK])
def test_a_guest_that_says_nothing_of_it_is_no_pass(check: Check) -> None:
    (result,) = run_checks(FakeGuest({"^true$": ""}), [check], folder=Path(), on_result=lambda _result: None)
    assert result.outcome is not CheckOutcome.PASSED
