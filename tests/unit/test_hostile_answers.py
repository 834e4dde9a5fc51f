"""Whatever a guest answers, by its agent or on its console, is data: it ends no run as a bug of ours."""

import base64
import io
import json
import time
from datetime import timedelta
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvm_action.backends import evidence
from kvm_action.backends.boot_watch import FILE_LIMIT, BootWatch, Patience
from kvm_action.backends.first_boot import cloud_init_errors
from kvm_action.boot import LINE_LIMIT, BootLog
from kvm_action.hypervisor.agent import Agent
from kvm_action.hypervisor.domain import Domain
from kvm_action.renewal import said
from kvm_action.wait import Clock, Deadline

KEYS = st.sampled_from(["return", "pid", "exited", "exitcode", "out-data", "err-data", "error", "v1", "errors"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
ANSWERS = st.one_of(
    JSON.map(lambda value: json.dumps({"return": value})), JSON.map(json.dumps), st.text(), st.none()
)
DEEP = '{"return": ' + "[" * 100_000


class Liar:
    """A domain whose agent answers with what it was given, one answer after the other."""

    def __init__(self, answers: list[str | None]) -> None:
        self.answers = answers
        self.asked = 0

    def agent(self, _command: str, _timeout: timedelta) -> str | None:
        self.asked += 1
        return self.answers[(self.asked - 1) % len(self.answers)]


def soon() -> Deadline:
    return Deadline(timedelta(milliseconds=30))


@given(st.lists(ANSWERS, min_size=1, max_size=3))
def test_no_answer_of_an_agent_is_more_than_no_answer(answers: list[str | None]) -> None:
    domain = cast(Domain, Liar(answers))
    agent = Agent(domain)
    agent.answers(soon())
    agent.run(["/bin/true"], soon())
    agent.time()
    evidence.over_agent(domain, timedelta(milliseconds=30))("true")


@pytest.mark.parametrize("answer", [DEEP, '{"return": 1' + "0" * 400 + "}", '{"return": ' + "9" * 5000 + "}"])
def test_answers_too_deep_or_too_large_for_a_number_are_none(answer: str) -> None:
    domain = cast(Domain, Liar([answer]))
    assert Agent(domain).time() is None
    assert Agent(domain).run(["/bin/true"], soon()) is None
    assert evidence.over_agent(domain, timedelta(milliseconds=30))("true") is None


def test_an_agent_that_never_ends_a_program_is_given_up_at_the_deadline() -> None:
    liar = Liar(['{"return": {"pid": 1, "exited": false}}'])
    began = time.monotonic()
    assert Agent(cast(Domain, liar)).run(["/bin/true"], Deadline(timedelta(seconds=0.3))) is None
    assert time.monotonic() - began < 2


class SlowToStart(Liar):
    """It takes 20 s to start a program; whoever gives it less gets no answer."""

    def agent(self, command: str, timeout: timedelta) -> str | None:
        if "guest-exec-status" not in command and timeout < timedelta(seconds=20):
            return None
        return super().agent(command, timeout)


def test_an_agent_that_is_slow_to_start_a_program_has_all_the_time_that_the_program_has() -> None:
    busy = SlowToStart(['{"return": {"pid": 1}}', '{"return": {"pid": 1, "exited": true, "exitcode": 0}}'])
    output = Agent(cast(Domain, busy)).run(["/bin/true"], Deadline(timedelta(seconds=30)))
    assert output is not None
    assert output.status == 0


def test_an_agent_may_answer_with_bytes_that_are_no_text() -> None:
    data = base64.b64encode(bytes(range(256))).decode()
    liar = Liar([json.dumps({"return": {"pid": 1, "exited": True, "exitcode": 0, "out-data": data}})])
    output = Agent(cast(Domain, liar)).run(["/bin/true"], soon())
    assert output is not None
    assert output.stdout == bytes(range(256))


@given(st.binary(max_size=300))
def test_what_a_woken_machine_says_of_itself_is_pairs_of_text_or_nothing(output: bytes) -> None:
    assert all(isinstance(value, str) for value in said(output).values())


@given(ANSWERS.map(lambda answer: answer or ""))
def test_no_result_of_cloud_init_is_more_than_an_error(text: str) -> None:
    assert all(isinstance(error, str) for error in cloud_init_errors(text))


def test_a_result_of_cloud_init_that_is_nested_without_end_is_an_error() -> None:
    assert "is not what it should be" in cloud_init_errors(DEEP)[0]


def watch(file: io.BytesIO, clock: Clock = time.monotonic) -> BootWatch:
    return BootWatch(file, lambda _event: None, Patience(*[timedelta(seconds=30)] * 3), clock)


def test_a_console_that_floods_ends_the_boot_says_so_and_keeps_only_its_beginning() -> None:
    file = io.BytesIO()
    flooded = watch(file)
    piece = (b"Booting from Hard Disk..." + b"." * 5_000 + b"\r\n") * 200
    while file.tell() < FILE_LIMIT:
        assert flooded.trouble("") is None
        flooded.on_console(piece)
    flooded.on_console(piece)
    assert file.tell() < FILE_LIMIT + 200
    assert b"only the first 16 MiB are kept" in file.getvalue()[-100:]
    trouble = flooded.trouble("")
    assert trouble is not None
    assert "printed 16 MiB to its console and is not up" in trouble.message


def test_a_machine_that_is_up_may_print_as_much_as_it_likes() -> None:
    chatty = watch(io.BytesIO())
    chatty.on_console((b"x" * 9_999 + b"\n") * (FILE_LIMIT // 10_000 + 1) + b"e2e login: ")
    assert chatty.trouble("") is None


def test_a_flood_after_the_login_is_read_in_part_and_its_last_words_are_heard() -> None:
    now, read = [0.0], [0]
    flooded = watch(io.BytesIO(), lambda: now[0])
    flooded.on_console(b"x" * FILE_LIMIT + b"\ne2e login: ")
    feed = flooded.log.feed

    def counting(data: bytes, at: float) -> list[str]:
        read[0] += len(data)
        return feed(data, at)

    flooded.log.feed = counting  # type: ignore[method-assign]
    for second in range(3):
        now[0] = second
        for _ in range(100):
            flooded.on_console(b"Reached target \n" * 4096)
    flooded.on_console(b"[   99.1] Linux version 6.1\nKernel panic - not syncing: it was too much\n")
    assert (flooded.log.boots, flooded.log.tail[-1]) == (1, "Kernel panic - not syncing: it was too much")
    assert flooded.log.diagnosis is not None
    assert read[0] < 1 << 19


@pytest.mark.parametrize(
    "text",
    ["error: ", "error: file ", "error: no such ", "Gave up waiting for ", "Reached target ", "Cloud-init v.",
     "systemd 1 ", "ALERT! ", "Welcome to ", "login: ", " ", "(", "\x1b[", "\x1b]0;", "\r", "\x9b"],
)  # fmt: skip
def test_no_line_takes_the_console_reader_long(text: str) -> None:
    line = (text * LINE_LIMIT)[:LINE_LIMIT].encode("latin-1")
    began = time.process_time()
    log = BootLog()
    for _ in range(5):
        log.feed(line + b"\n", 0)
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize("text", ["error: file ", "Reached target ", "Cloud-init ", "systemd 1 ", "ALERT! "])
def test_a_long_line_takes_no_longer_than_the_same_in_short_lines(text: str) -> None:
    def seconds(length: int) -> float:
        lines = (text * length)[:length].encode() + b"\n"
        began = time.process_time()
        BootLog().feed(lines * ((1 << 18) // length), 0)
        return time.process_time() - began

    assert min(seconds(LINE_LIMIT) for _ in range(3)) < 3 * max(seconds(LINE_LIMIT // 8) for _ in range(3))
