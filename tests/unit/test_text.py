"""Text from strangers becomes harmless and stays readable."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvm_action.text import plain, plain_line, shorten


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[1;31merror\x1b[0m: no", "error: no"),
        ("\x1b]0;a title\x07text", "text"),
        ("\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b31mred", "red"),
        ("\x1b[2J\x1b[Hcleared", "cleared"),
        ("a\x00b\x07c\x08d\x7fe", "abcde"),
        ("tab\tstays\nas lines do", "tab\tstays\nas lines do"),
        ("dos\r\nlines\r\n", "dos\nlines\n"),
        ("10%\r50%\r100%", "100%"),
        ("10%\r100%\r\nnext", "100%\nnext"),
        ("\ud800", "\N{REPLACEMENT CHARACTER}"),
        ("\ufffe", "\N{REPLACEMENT CHARACTER}"),
        ("invoice\u202egnp.exe", "invoice⟨U+202E⟩gnp.exe"),
        ("שלום и привет", "שלום и привет"),
        ("one\u2028two", "one\ntwo"),
    ],
)
def test_what_a_reader_sees(raw: str, shown: str) -> None:
    assert plain(raw) == shown


@given(st.text())
def test_no_text_at_all_leaves_a_control_character_or_breaks_an_encoder(raw: str) -> None:
    shown = plain(raw)
    assert not [char for char in shown if unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\t"]
    shown.encode()


@given(st.text())
def test_one_line_is_one_line(raw: str) -> None:
    assert len(plain_line(raw).splitlines()) <= 1


def test_indentation_of_a_line_is_kept() -> None:
    assert plain_line("    indented  ") == "    indented"


def test_a_long_line_says_how_much_is_missing() -> None:
    assert shorten("x" * 1500, 1000) == "x" * 1000 + "… (500 more characters)"
    assert shorten("short", 1000) == "short"


@pytest.mark.parametrize("evil", ["\x1b]", "\x1b[", "\x1bP", "\r", "a\r", "\x9d", "\x1b[1;", "a"])
def test_a_line_of_megabytes_takes_no_longer_than_its_length_warrants(evil: str) -> None:
    began = time.perf_counter()
    plain(evil * 200_000)
    assert time.perf_counter() - began < 2
