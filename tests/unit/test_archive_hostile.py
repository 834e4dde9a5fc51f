"""Whatever bytes come as a tar stream: nothing is written outside, no limit is passed, and nothing is raised."""

import io
import tarfile
import tempfile
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from test_archive_extraction import MAP, SPARSE, extension, plain_file

from kvm_action.archive import Limits, extract
from kvm_action.guest_state import parsing

LIMITS = Limits(bytes=3000, entries=12)
PARTS = st.sampled_from(["a", "b", "..", ".", "", "into", "secret", "x" * 300, "a\x00b", "\x1b[1m", "ä", "\udcff"])
NAMES = st.lists(PARTS, max_size=5).map("/".join) | st.just("a/" * 120 + "f") | st.just("/etc/passwd")
KINDS = st.sampled_from([bytes([kind]) for kind in b"0\x0001234567gxXLKSDMVZ"])
SIZES = st.integers(0, 1500) | st.sampled_from([1 << 20, 1 << 33, 1 << 62, -1])
NUMBERS = st.integers(-10, 2000).map(str) | st.sampled_from(["1" * 30, "x", ""])
WORDS = st.dictionaries(
    st.sampled_from(["GNU.sparse.major", "GNU.sparse.realsize", "GNU.sparse.size", "size", "mtime", "hdrcharset"]),
    NUMBERS,
    max_size=2,
) | st.dictionaries(st.sampled_from(["path", "linkpath", "GNU.sparse.name"]), NAMES, max_size=2)


@st.composite
def members(draw: st.DrawFn) -> bytes:
    """One entry: its header, which may lie, and content."""
    info = tarfile.TarInfo()
    info.name, info.linkname, info.type = draw(NAMES), draw(NAMES), draw(KINDS)
    words = draw(WORDS)
    content = draw(st.binary(max_size=600))
    if info.type in b"gxX":
        content = b"".join(map(record, words.items()))
    info.size = draw(SIZES) if draw(st.booleans()) else len(content)
    header = info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
    return header + content + b"\0" * (-len(content) % 512)


def record(pair: tuple[str, str]) -> bytes:
    """A pax header's record; its length counts its own digits, of which there are always three here."""
    text = f" {pair[0]}={pair[1]}".encode(errors="surrogateescape")
    return b"%03d%s\n" % (len(text) + 4, text)


STREAMS = st.lists(members() | st.binary(max_size=700), max_size=8).map(b"".join)


def cut(pair: tuple[bytes, int]) -> bytes:
    return pair[0][: pair[1]]


@given(STREAMS | st.tuples(STREAMS, st.integers(0, 4000)).map(cut))
@settings(max_examples=300, deadline=None)
def test_no_stream_writes_outside_passes_a_limit_or_raises(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place).resolve()
        (root / "secret").write_text("untouched")
        received = extract(io.BytesIO(data), root / "into", LIMITS)
        assert sorted(path.name for path in root.iterdir()) == ["into", "secret"]
        assert (root / "secret").read_text() == "untouched"
        below = list((root / "into").rglob("*"))
        assert_within(below, root / "into")
        assert {path for path in received.paths if not path.is_file() and not path.is_dir()} == set()
        assert set(received.paths) <= set(below)


def assert_within(below: Sequence[Path], into: Path) -> None:
    """The limits hold, and each link leads to something that was copied."""
    assert len(below) <= LIMITS.entries
    assert sum(path.stat().st_size for path in below if path.is_file() and not path.is_symlink()) <= LIMITS.bytes
    assert all(path.resolve(strict=True).is_relative_to(into) for path in below)
    assert all(path.is_file() or path.is_dir() for path in below)


@given(STREAMS)
@settings(max_examples=100, deadline=None)
def test_no_stream_makes_more_of_a_guests_state_than_it_carries(data: bytes) -> None:
    assert sum(map(len, parsing.contents(data).values())) <= len(data)


def test_files_that_overlap_make_no_more_of_a_guests_state_than_the_stream_carries() -> None:
    header = extension(tarfile.XHDTYPE, {"GNU.sparse.realsize": str(1 << 20)})
    data = b"".join(header + plain_file(f"f{number}") for number in range(20)) + b"x" * (1 << 20)
    assert sum(map(len, parsing.contents(data).values())) <= len(data)


def test_the_map_of_a_file_with_holes_in_a_guests_state_does_not_fill_our_memory() -> None:
    data = extension(tarfile.XHDTYPE, SPARSE) + plain_file("a", len(MAP)) + MAP
    tracemalloc.start()
    try:
        assert parsing.contents(data) == {}
        assert tracemalloc.get_traced_memory()[1] < 3 << 20
    finally:
        tracemalloc.stop()
