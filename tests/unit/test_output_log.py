"""Output as it comes: lines, masking, limits."""

import io

from hypothesis import given
from hypothesis import strategies as st

from kvm_action.events import Stream
from kvm_action.output import LINE_LIMIT, TAIL_LINES, Mask, OutputLog


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
