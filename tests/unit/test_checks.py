"""Checks against a guest that answers by a script: verdicts, sentences, and a guest that stops to answer."""

import errno
import os
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
from fakes import Answer, FakeGuest

from kvm_action.checks import run_checks
from kvm_action.errors import CommandTimeoutError, GuestConnectionError, InterruptedRunError
from kvm_action.guest import GuestOutput
from kvm_action.plan.checks import (
    Check,
    CommandCheck,
    FileCheck,
    FileType,
    HttpCheck,
    PackageCheck,
    PortCheck,
    Protocol,
    ServiceCheck,
    TestinfraCheck,
    UserCheck,
)
from kvm_action.results import CheckOutcome, CheckResult
from kvm_action.wait import pause

DEBIAN: dict[str, Answer] = {
    "^uname -s": "Linux\n",
    "^uname -m": "x86_64\n",
    "os-release": 'ID=debian\nVERSION_ID="12"\n',
    "^command -v": "/usr/bin/x\n",
    "^true$": "",
}
USER: dict[str, Answer] = {
    "^id developer": "uid=1001(developer)\n",
    "^id -nG developer": "developer sudo\n",
    "^getent passwd developer": "developer:x:1001:1001::/home/developer:/bin/bash\n",
}
SYSTEMD: dict[str, Answer] = {"^test -d /run/systemd/system": ""}
SS = """\
Netid State  Recv-Q Send-Q Local Address:Port Peer Address:Port
tcp   LISTEN 0      128    127.0.0.1:8080     0.0.0.0:*
tcp   LISTEN 0      128    *:3389             *:*
tcp   LISTEN 0      128    [::1]:631          [::]:*
udp   UNCONN 0      0      0.0.0.0:68         0.0.0.0:*
u_str LISTEN 0      128    /run/x.sock 123    * 0
"""
SOCKETS: dict[str, Answer] = {" --numeric --listening": SS}


def examine(check: Check, answers: dict[str, Answer] | None = None) -> CheckResult:
    (result,) = run_checks(
        FakeGuest({**(answers or {}), **DEBIAN}), [check], folder=Path(), on_result=lambda _result: None
    )
    return result


def passes(result: CheckResult) -> bool:
    assert result.outcome in (CheckOutcome.PASSED, CheckOutcome.FAILED), result.message
    assert bool(result.message) is (result.outcome is CheckOutcome.FAILED)
    assert result.expected
    assert result.actual
    return result.outcome is CheckOutcome.PASSED


# --- user


def test_a_user_with_its_groups_shell_and_home_passes() -> None:
    check = UserCheck(name="developer", groups=("sudo",), shell="/bin/bash", home="/home/developer")
    assert passes(examine(check, USER))


def test_every_wrong_property_of_a_user_is_told_not_only_the_first() -> None:
    result = examine(UserCheck(name="developer", groups=("sudo", "docker"), shell="/bin/zsh"), USER)
    assert not passes(result)
    assert result.message == (
        "user developer is not in docker, only in developer sudo;"
        " the shell of developer is /bin/bash, not /bin/zsh"
    )


def test_a_missing_user_is_one_complaint() -> None:
    result = examine(UserCheck(name="nobody-here", groups=("sudo",)))
    assert (passes(result), result.message) == (False, "user nobody-here is not there")


@pytest.mark.parametrize(("answers", "good"), [(USER, False), ({}, True)])
def test_a_user_that_must_not_exist(answers: dict[str, Answer], good: bool) -> None:
    assert passes(examine(UserCheck(name="developer", exists=False), answers)) is good


# --- package


@pytest.mark.parametrize(
    ("status", "good"),
    [("install ok installed", True), ("deinstall ok config-files", False), ("install ok half-configured", False)],
)
def test_only_a_package_that_is_wholly_installed_counts(status: str, good: bool) -> None:
    assert passes(examine(PackageCheck(name="xfce4"), {"^dpkg-query": status})) is good


def test_another_version_of_a_package_is_told() -> None:
    answers: dict[str, Answer] = {"Version": "install ok installed 4.18", "^dpkg-query": "install ok installed"}
    result = examine(PackageCheck(name="xfce4", version="4.20"), answers)
    assert (passes(result), result.message) == (False, "the version of xfce4 is 4.18, not 4.20")


def test_an_unknown_package_is_not_installed_and_that_may_be_wanted() -> None:
    assert not passes(examine(PackageCheck(name="nope")))
    assert passes(examine(PackageCheck(name="nope", installed=False)))


# --- service


def unit(active: str, sub: str, state: str, load: str = "loaded") -> dict[str, Answer]:
    shown = f"LoadState={load}\nActiveState={active}\nSubState={sub}\nUnitFileState={state}\n"
    return {"^systemctl show xrdp": shown, **SYSTEMD}


def test_a_running_and_enabled_service_passes_after_one_question_about_it() -> None:
    guest = FakeGuest({**unit("active", "running", "enabled"), **DEBIAN})
    check = ServiceCheck(name="xrdp", enabled=True)
    (result,) = run_checks(guest, [check], folder=Path(), on_result=lambda _result: None)
    assert passes(result)
    assert result.actual == "active (running), enabled"
    assert sum("xrdp" in command for command in guest.asked) == 1


def test_a_service_in_a_crash_loop_is_told_as_systemd_tells_it() -> None:
    result = examine(ServiceCheck(name="xrdp"), unit("activating", "auto-restart", "enabled"))
    assert (passes(result), result.message) == (
        False,
        "service xrdp should be running, and it is activating (auto-restart)",
    )


def test_a_service_that_is_not_started_at_boot_fails_when_that_is_asked() -> None:
    answers = unit("active", "running", "disabled")
    assert passes(examine(ServiceCheck(name="xrdp"), answers))
    result = examine(ServiceCheck(name="xrdp", enabled=True), answers)
    assert (passes(result), result.message) == (
        False,
        "service xrdp should be enabled at boot, and it is disabled",
    )


def test_a_service_that_must_be_off_passes_when_it_is() -> None:
    answers = unit("inactive", "dead", "masked")
    assert passes(examine(ServiceCheck(name="xrdp", running=False, enabled=False), answers))
    assert not passes(examine(ServiceCheck(name="xrdp", running=False), unit("active", "running", "enabled")))


def test_a_unit_that_does_not_exist_is_told_from_one_that_is_stopped() -> None:
    result = examine(ServiceCheck(name="xrdp", running=False), unit("inactive", "dead", "", "not-found"))
    assert (passes(result), result.message) == (False, "there is no service xrdp in the guest")


# --- port


@pytest.mark.parametrize(
    ("check", "good"),
    [
        (PortCheck(port=3389), True),
        (PortCheck(port=8080), True),
        (PortCheck(port=8080, address="127.0.0.1"), True),
        (PortCheck(port=8080, address="10.0.0.1"), False),
        (PortCheck(port=3389, address="10.0.0.1"), True),
        (PortCheck(port=3389, address="::1"), True),
        (PortCheck(port=631, address="::1"), True),
        (PortCheck(port=631, address="127.0.0.1"), False),
        (PortCheck(port=68), False),
        (PortCheck(port=68, protocol=Protocol.UDP), True),
        (PortCheck(port=99, listening=False), True),
        (PortCheck(port=3389, listening=False), False),
    ],
)
def test_a_port_is_judged_by_number_protocol_and_address(check: PortCheck, good: bool) -> None:
    assert passes(examine(check, SOCKETS)) is good


def test_a_port_that_is_open_on_loopback_only_shows_where() -> None:
    assert examine(PortCheck(port=8080), SOCKETS).actual == "listening on 127.0.0.1"


def test_a_guest_that_cannot_list_its_sockets_says_what_is_missing() -> None:
    result = examine(PortCheck(port=1), {"^command -v (ss|netstat|/)": (1, "")})
    assert result.outcome is CheckOutcome.ERROR
    assert "iproute2" in result.message


# --- file


def file_answers(**more: Answer) -> dict[str, Answer]:
    return {
        "^test -[ef] /etc/app.conf": "",
        "stat -Lc %a": "640\n",
        "stat -Lc %U": "root\n",
        "stat -Lc %G": "adm\n",
        r"^grep -qF -- port=3389": "",
        "^sha256sum": "ab" * 32 + "\n",
        **more,
    }


def test_a_file_with_all_properties_passes() -> None:
    check = FileCheck(
        path="/etc/app.conf",
        type=FileType.FILE,
        mode=0o640,
        owner="root",
        group="adm",
        contains="port=3389",
        sha256="ab" * 32,
    )
    assert passes(examine(check, file_answers()))


def test_a_wrong_mode_and_a_missing_text_are_both_told() -> None:
    result = examine(FileCheck(path="/etc/app.conf", mode=0o600, contains="port=1"), file_answers())
    assert not passes(result)
    assert result.message == (
        "the mode of /etc/app.conf is 0640, not 0600; /etc/app.conf does not contain 'port=1'"
    )


def test_a_text_is_taken_as_it_is_and_not_as_an_expression() -> None:
    guest = FakeGuest({**file_answers(), **DEBIAN})
    run_checks(
        guest, [FileCheck(path="/etc/app.conf", contains="a.*[b")], folder=Path(), on_result=lambda _result: None
    )
    assert "grep -qF -- 'a.*[b' /etc/app.conf" in guest.asked


def test_files_are_looked_at_as_root_where_sudo_works() -> None:
    for status, expected in ((0, True), (1, False)):
        guest = FakeGuest({**DEBIAN, "^true$": (status, ""), **file_answers()})
        run_checks(guest, [FileCheck(path="/etc/app.conf")], folder=Path(), on_result=lambda _result: None)
        assert any("test -e" in command for command in guest.rooted) is expected


def test_a_link_that_leads_nowhere_is_something_where_nothing_may_be() -> None:
    check = FileCheck(path="/etc/app.conf", exists=False)
    assert passes(examine(check, {}))
    assert not passes(examine(check, {"^test -L": ""}))


# --- command


@pytest.mark.parametrize(
    ("check", "good"),
    [
        (CommandCheck(run="id developer"), True),
        (CommandCheck(run="id developer", stdout="uid=1001"), True),
        (CommandCheck(run="id developer", stdout="uid=7"), False),
        (CommandCheck(run="id developer", exit=3), False),
        (CommandCheck(run="missing", exit=1), True),
        (CommandCheck(run="id developer", stderr="warning"), False),
    ],
)
def test_a_command_is_judged_by_its_status_and_its_output(check: CommandCheck, good: bool) -> None:
    assert passes(examine(check, USER)) is good


def test_a_failed_command_shows_its_last_words_on_one_line() -> None:
    ended = GuestOutput("x", 2, b"", b"first\nlast\n")
    assert (
        examine(CommandCheck(run="x"), {"x": ended}).message
        == "it ended with exit 2, expected was exit 0: first ⏎ last"
    )


def test_a_long_output_stands_beside_the_complaint_and_not_in_it() -> None:
    found = examine(CommandCheck(run="x", stdout="gold"), {"x": "sand " * 100})
    assert found.message == "its stdout does not contain 'gold'"
    assert "sand sand" in found.actual


def test_a_command_killed_by_a_signal_never_passes() -> None:
    ended = GuestOutput("x", 139, b"", b"", signal="SEGV")
    assert examine(CommandCheck(run="x", exit=139), {"x": ended}).actual == "killed by SIGSEGV"


def test_a_command_that_hangs_has_failed_and_is_no_error_of_ours() -> None:
    result = examine(CommandCheck(run="x", timeout=timedelta(seconds=5)), {"x": CommandTimeoutError("too long")})
    assert (result.outcome, result.message, result.expected) == (CheckOutcome.FAILED, "too long", "within 5s")


# --- http


def answer(status: int, body: bytes = b"hello") -> dict[str, Answer]:
    return {"curl": GuestOutput("curl", 0, body, b"kvm-e2e-status %d\n" % status)}


def test_a_web_server_is_judged_by_status_and_content() -> None:
    check = HttpCheck(url="http://127.0.0.1:8080/", contains="hello")
    assert passes(examine(check, answer(200)))
    assert examine(check, answer(302)).message == "http://127.0.0.1:8080/ answers with status 302, not 200"
    assert not passes(examine(check, answer(200, b"else")))


def test_a_web_server_that_does_not_answer_fails_with_the_reason() -> None:
    refused = GuestOutput("curl", 7, b"", b"curl: (7) Failed to connect\nkvm-e2e-status 000\n")
    result = examine(HttpCheck(url="http://127.0.0.1:1/"), {"curl": refused})
    assert (result.outcome, result.actual) == (
        CheckOutcome.FAILED,
        "no answer: curl: (7) Failed to connect",
    )


def test_a_guest_without_any_web_client_is_an_error_that_says_what_to_install() -> None:
    result = examine(HttpCheck(url="http://127.0.0.1:1/"), {"curl": (90, "")})
    assert result.outcome is CheckOutcome.ERROR
    assert "neither curl nor python3" in result.message


# --- all together


def test_results_keep_the_plans_order_and_all_run_although_some_fail() -> None:
    checks = [CommandCheck(run=f"echo {number}", exit=number % 2) for number in range(20)]
    seen: list[CheckResult] = []
    results = run_checks(FakeGuest({"echo": ""}), checks, folder=Path(), on_result=seen.append)
    assert [result.name for result in results] == [f"command echo {number}" for number in range(20)]
    assert [result.outcome is CheckOutcome.PASSED for result in results] == [True, False] * 10
    assert tuple(seen) == results


def test_what_was_done_when_the_checks_are_cut_short_is_told_in_the_plans_order() -> None:
    slow_began, released, seen = Event(), Event(), []

    class Slow(FakeGuest):
        def run(self, command: str, **options: object) -> GuestOutput:
            if "slow" in command:
                slow_began.set()
                released.wait(30)
            return super().run(command, **options)

    def on_result(result: CheckResult) -> None:
        seen.append(result.name)
        if len(seen) == 1:
            assert slow_began.wait(30)
            pause(0.5)  # the others are done by then
            raise InterruptedRunError("interrupted")

    checks = [CommandCheck(run=run) for run in ("echo 0", "slow", "echo 2", "echo 3")]
    try:
        with pytest.raises(InterruptedRunError):
            run_checks(Slow({"": ""}), checks, folder=Path(), on_result=on_result)
    finally:
        released.set()
    assert seen == ["command echo 0", "command echo 2", "command echo 3"]


def test_a_host_without_room_makes_a_check_an_error_and_no_bug() -> None:
    class Full(FakeGuest):
        def run(self, command: str, **options: object) -> GuestOutput:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (result,) = run_checks(Full({}), [CommandCheck(run="x")], folder=Path(), on_result=lambda _result: None)
    assert result.outcome is CheckOutcome.ERROR
    assert result.message == "the host cannot carry it out: No space left on device"


def test_when_the_guest_is_lost_the_rest_are_errors_without_being_tried() -> None:
    checks = [CommandCheck(run="lost")] + [CommandCheck(run=f"echo {number}") for number in range(50)]
    guest = FakeGuest(
        {"lost": GuestConnectionError("the guest is gone"), "echo": GuestConnectionError("gone too")}
    )
    results = run_checks(guest, checks, folder=Path(), on_result=lambda _result: None)
    assert {result.outcome for result in results} == {CheckOutcome.ERROR}
    assert len(guest.asked) < 10
    assert "the connection to the guest was lost before" in results[-1].message


def test_an_answer_that_testinfra_does_not_expect_is_an_error_and_no_crash() -> None:
    result = examine(
        UserCheck(name="developer", groups=("sudo",)), {"^id developer": "", "^id -nG": (127, "id: broken\n")}
    )
    assert result.outcome is CheckOutcome.ERROR
    assert result.message == (
        "the guest gave an unexpected answer: `id -nG developer` ended with status 127: id: broken"
    )


def test_a_testinfra_file_is_skipped_on_a_machine_without_ssh() -> None:
    assert examine(TestinfraCheck(path=Path("test_x.py"))).outcome is CheckOutcome.SKIPPED


def test_a_label_of_the_users_own_names_the_result() -> None:
    assert examine(CommandCheck(run="true", label="it is true")).name == "it is true"
