"""Questions of several checks in one round trip: nobody waits in vain, nobody gets another's answer."""

import threading
from datetime import timedelta

import pytest
from fakes import FakeGuest

from kvm_action.checks.batch import Batches, batch_answers, batch_script
from kvm_action.errors import CommandTimeoutError, GuestConnectionError
from kvm_action.guest import GuestOutput
from kvm_action.wait import Deadline


def soon() -> Deadline:
    """From now: a deadline made while tests are collected is over before they run."""
    return Deadline(timedelta(seconds=20))


class ShellGuest(FakeGuest):
    """Answers a batch as a shell would: each command with its own text."""

    def __init__(self) -> None:
        super().__init__({})
        self.batches = 0

    def run(self, command: str, *, stdin: bytes | None = None, **_others: object) -> GuestOutput:  # type: ignore[override]
        self.batches += 1
        lines = (stdin or b"").decode().splitlines()
        mark = next(line.removeprefix("m=").split(";")[0] for line in lines if line.startswith("m="))
        asked = [line.split(maxsplit=2) for line in lines if line.startswith("q ")]
        out = "".join(f"{mark}:{number}:{words}\n{mark}={number}=0:" for _, number, words in asked)
        err = "".join(f"{mark}:{number}:{mark}={number}=0:" for _, number, _words in asked)
        return GuestOutput(command, 0, out.encode(), err.encode())


def ask_together(guest: FakeGuest, count: int) -> dict[int, GuestOutput | str]:
    batches, answers = Batches(guest), dict[int, GuestOutput | str]()

    def ask(number: int) -> None:
        try:
            answers[number] = batches.ask(f"x{number}", soon())
        except GuestConnectionError as error:
            answers[number] = error.message

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    return answers


def test_many_questions_take_few_round_trips_and_each_gets_its_own_answer() -> None:
    guest = ShellGuest()
    answers = ask_together(guest, 200)
    assert {number: answer.text for number, answer in answers.items() if isinstance(answer, GuestOutput)} == {
        number: f"x{number}" for number in range(200)
    }
    assert guest.batches < 50


def test_a_lost_guest_is_told_to_everyone_who_waits() -> None:
    guest = FakeGuest({"sh": GuestConnectionError("gone")})
    assert ask_together(guest, 20) == dict.fromkeys(range(20), "gone")


def test_a_guest_whose_shell_cannot_do_batches_is_asked_one_by_one() -> None:
    guest = FakeGuest({"^x": "alone"})
    answers = ask_together(guest, 3)
    assert {answer.text for answer in answers.values() if isinstance(answer, GuestOutput)} == {"alone"}
    assert {"x0", "x1", "x2"} <= set(guest.asked)


def test_a_question_without_time_left_is_not_asked() -> None:
    guest = FakeGuest({})
    with pytest.raises(CommandTimeoutError):
        Batches(guest).ask("x", Deadline(timedelta(0)))
    assert guest.asked == []


def test_output_that_was_cut_off_is_no_answer() -> None:
    ended = GuestOutput("sh", 0, b"M:0:whole\nM=0=0:M:1:one stream M=1=1:M:2:cut", b"noiseM:0:M=0=0:M:2:M=2=0:")
    answers = batch_answers("M", ["a", "b", "c"], ended)
    assert list(answers) == [0]
    assert (answers[0].command, answers[0].stdout, answers[0].stderr) == ("a", b"whole\n", b"")


def test_what_was_foreseen_and_not_answered_is_asked_alone_and_cannot_stop_others_again() -> None:
    guest = FakeGuest({"^hangs$": "at last"})
    batches = Batches(guest)
    batches.foresee(["hangs"])
    assert batches.ask("hangs", soon()).text == "at last"
    assert guest.asked[-1] == "hangs"
    assert len([command for command in guest.asked if "sh" in command]) == 1


def test_a_worker_that_was_ended_does_not_take_the_next_ones_answer() -> None:
    ended = GuestOutput("sh", 0, b"M:0:hanging M:1:b\nM=1=0:", b"M:0:M:1:M=1=0:")
    answers = batch_answers("M", ["a", "b"], ended)
    assert {number: answer.stdout for number, answer in answers.items()} == {1: b"b\n"}


def test_binary_output_and_what_looks_like_another_mark_are_left_alone() -> None:
    ended = GuestOutput("sh", 0, b"M:0:\x00N:1:\n\xffN=0=0:M=0=7:", b"M:0:oops\nM=0=7:")
    (answer,) = batch_answers("M", ["a"], ended).values()
    assert (answer.status, answer.stdout, answer.stderr) == (7, b"\x00N:1:\n\xffN=0=0:", b"oops\n")


def test_a_command_cannot_leave_its_quotes() -> None:
    assert "q 0 'a'\"'\"'; rm -rf ~ #'" in batch_script("M", ["a'; rm -rf ~ #"]).splitlines()
