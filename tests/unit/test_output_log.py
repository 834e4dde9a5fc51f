"""Output as it comes: lines, masking, limits."""

import io
import re

from hypothesis import given
from hypothesis import strategies as st

from kvm_action.events import Stream
from kvm_action.output import EVENT_BYTES, LINE_LIMIT, TAIL_LINES, Mask, OutputLog


def log_of(
    *pieces: bytes, secrets: tuple[str, ...] = (), event_lines: int = 20_000
) -> tuple[bytes, list[str], OutputLog]:
    file, lines = io.BytesIO(), []
    with OutputLog(file, lambda _stream, text: lines.append(text), Mask(secrets), event_lines) as log:
        for piece in pieces:
            log(Stream.STDOUT, piece)
    return file.getvalue(), lines, log


def test_a_secret_is_hidden_even_when_it_arrives_in_two_pieces() -> None:
    kept, lines, _ = log_of(b"token=hun", b"ter22 ok\n", secrets=("hunter22",))
    assert kept == b"token=*** ok\n"
    assert lines == ["token=*** ok"]


def test_a_secret_across_the_cut_of_a_long_line_is_hidden_wherever_the_cut_is() -> None:
    for before in range(LINE_LIMIT - 20, LINE_LIMIT + 4):
        text = b"a" * before + b"supersecretvalue" + b"b" * 3 * LINE_LIMIT
        pieces = [text[at : at + 5000] for at in range(0, len(text), 5000)]
        kept, _, _ = log_of(*pieces, secrets=("supersecretvalue",))
        assert kept == b"a" * before + b"***" + b"b" * 3 * LINE_LIMIT


def test_of_two_secrets_in_one_another_neither_is_shown_by_a_cut() -> None:
    secrets = ("hunter22", "postgres://u:hunter22@db.secret/x")
    for before in range(LINE_LIMIT - 40, LINE_LIMIT + 4):
        text = b"a" * before + secrets[1].encode() + b"b" * 3 * LINE_LIMIT
        end = before + text[before:].index(b"@")
        kept, _, _ = log_of(text[:end], text[end:], secrets=secrets)
        assert kept == b"a" * before + b"***" + b"b" * 3 * LINE_LIMIT


def test_no_text_of_a_guest_is_too_odd_to_be_masked() -> None:
    assert Mask(["secret"]).hide_text("\ud800secret\udcff") == "\ud800***\udcff"


def test_a_secret_of_several_lines_is_hidden_line_by_line() -> None:
    kept, _, _ = log_of(b"-----BEGIN\nabcdef\n", secrets=("-----BEGIN\nabcdef",))
    assert kept == b"***\n***\n"


def test_a_secret_inside_another_leaves_no_rest() -> None:
    assert Mask(["pass", "password1"]).hide_text("password1 pass") == "*** ***"


def test_the_last_line_counts_without_a_line_end() -> None:
    kept, lines, log = log_of(b"a\nb")
    assert (kept, lines, list(log.tail)) == (b"a\nb", ["a", "b"], ["a", "b"])


@given(st.lists(st.binary(max_size=300), max_size=10))
def test_the_file_keeps_every_byte_that_the_script_printed(pieces: list[bytes]) -> None:
    kept, _, _ = log_of(*pieces)
    assert kept == b"".join(pieces)


def flooded(count: int, limit: int) -> tuple[bytes, OutputLog]:
    file = io.BytesIO()
    with OutputLog(file, lambda _stream, _text: None, Mask(()), file_limit=limit) as log:
        for number in range(count):
            log(Stream.STDOUT, b"%09d\n" % number)
    return file.getvalue(), log


def test_a_script_that_floods_its_output_leaves_its_beginning_and_its_end_and_says_what_is_missing() -> None:
    kept, log = flooded(300_000, limit=50_000)
    assert kept.startswith(b"000000000\n")
    assert kept.endswith(b"000299999\n")
    assert len(kept) < 50_000 + (1 << 20) + 100
    (missing,) = re.findall(rb"\[kvm-e2e: (\d+) bytes were left out here\]", kept)
    assert int(missing) == 3_000_000 - (len(kept) - len(b"\n[kvm-e2e:  bytes were left out here]\n%s" % missing))
    assert log.lines == 300_000


def test_output_a_little_over_the_limit_loses_nothing() -> None:
    kept, _ = flooded(6_000, limit=50_000)
    assert kept == b"".join(b"%09d\n" % number for number in range(6_000))


def test_a_flood_of_lines_makes_events_more_and_more_rarely() -> None:
    _, lines, log = log_of(*[b"\n" * 10_000] * 100, event_lines=100)
    assert log.lines == 1_000_000
    assert len(lines) < 300


def test_a_flood_of_long_lines_makes_events_of_its_first_part_only() -> None:
    seen: list[int] = []
    with OutputLog(io.BytesIO(), lambda _stream, text: seen.append(len(text)), Mask(())) as log:
        for _ in range(6_000):
            log(Stream.STDOUT, b"x" * (LINE_LIMIT - 1) + b"\n")
    assert EVENT_BYTES - LINE_LIMIT < sum(seen) < EVENT_BYTES + 10 * LINE_LIMIT


def test_a_line_without_end_is_cut_and_not_kept_in_memory() -> None:
    kept, lines, log = log_of(b"x" * (LINE_LIMIT * 3 + 1))
    assert len(kept) == LINE_LIMIT * 3 + 1
    assert max(map(len, lines)) == LINE_LIMIT
    assert len(log.tail) <= TAIL_LINES


def test_a_script_that_prints_millions_of_lines_does_not_flood_the_terminal() -> None:
    kept, lines, log = log_of(b"line\n" * 5000, event_lines=100)
    assert len(kept) == 25_000
    assert 100 <= len(lines) < 120
    assert log.lines == 5000
