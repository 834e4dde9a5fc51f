"""A guest is not trusted: what its tar stream may do to the host."""

import io
import os
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from kvm_action.archive import Limits, Readable, extract
from kvm_action.guest import Received

PLENTY = Limits(bytes=1 << 20)


def entry(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644):
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname, info.mode = len(content), kind, link, mode
    return info, content


def stream(*entries: tuple[tarfile.TarInfo, bytes], form: int = tarfile.GNU_FORMAT) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content))
    buffer.seek(0)
    return buffer


def taken(into: Path, *entries: tuple[tarfile.TarInfo, bytes], limits: Limits = PLENTY) -> Received:
    return extract(stream(*entries), into, limits)


def extracted_with_peak(readable: Readable, into: Path) -> tuple[Received, int]:
    """What comes of a stream, and the most bytes of memory that it took."""
    tracemalloc.start()
    try:
        return extract(readable, into, Limits(bytes=64 << 20)), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def names(received: Received, into: Path) -> list[str]:
    return [str(path.relative_to(into)) for path in received.paths]


def test_files_arrive_with_their_content_below_their_whole_path(tmp_path: Path) -> None:
    received = taken(tmp_path, entry("/var/log/a.log", b"hello"), entry("b", b""))
    assert names(received, tmp_path) == ["b", "var/log/a.log"]
    assert (tmp_path / "var/log/a.log").read_bytes() == b"hello"
    assert received.notes == ()


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/..", ".", "a\nb", "a\x1b[31mb", "a\udcffb", "", "/"]
)
def test_names_that_lead_out_or_cannot_be_shown_are_left_out(tmp_path: Path, name: str) -> None:
    into = tmp_path / "into"
    received = taken(into, entry(name, b"evil"), entry("good", b"x"))
    assert names(received, into) == ["good"]
    assert len(received.notes) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["into"]


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.LNKTYPE])
def test_devices_pipes_and_hard_links_are_left_out(tmp_path: Path, kind: bytes) -> None:
    received = taken(tmp_path, entry("odd", kind=kind, link="/etc/passwd"))
    assert list(tmp_path.iterdir()) == []
    assert received.notes == ("odd: left out, it is neither a file nor a link",)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../etc/passwd", "missing", "loop"])
def test_links_that_lead_out_or_nowhere_are_left_out(tmp_path: Path, target: str) -> None:
    received = taken(tmp_path, entry("loop", kind=tarfile.SYMTYPE, link=target))
    assert list(tmp_path.iterdir()) == []
    assert len(received.notes) == 1


def test_a_link_to_what_was_copied_too_is_kept(tmp_path: Path) -> None:
    received = taken(tmp_path, entry("log/now", kind=tarfile.SYMTYPE, link="1.log"), entry("log/1.log", b"x"))
    assert names(received, tmp_path) == ["log/1.log", "log/now"]
    assert (tmp_path / "log/now").read_bytes() == b"x"


def test_nothing_is_written_through_a_link_of_the_same_stream(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    into = tmp_path / "into"
    taken(into, entry("a", kind=tarfile.SYMTYPE, link=str(outside)), entry("a/evil", b"x"))
    assert list(outside.iterdir()) == []


def test_nothing_is_written_through_a_link_that_was_there_before(tmp_path: Path) -> None:
    outside, into = tmp_path / "outside", tmp_path / "into"
    outside.mkdir()
    into.mkdir()
    (into / "a").symlink_to(outside)
    received = taken(into, entry("a/evil", b"x"))
    assert list(outside.iterdir()) == []
    assert "left out" in received.notes[0]


def test_a_chain_of_links_that_leads_out_together_is_left_out(tmp_path: Path) -> None:
    into = tmp_path / "into"
    (tmp_path / "secret").write_text("x")
    received = taken(
        into,
        entry("p/q/file", b"x"),
        entry("p/q/up", kind=tarfile.SYMTYPE, link="../.."),
        entry("out", kind=tarfile.SYMTYPE, link="p/q/up/../secret"),
    )
    assert "out" not in names(received, into)
    assert not (into / "out").is_symlink()


def test_a_second_file_of_the_same_name_does_not_replace_the_first(tmp_path: Path) -> None:
    received = taken(tmp_path, entry("a", b"first"), entry("a", b"second"))
    assert (tmp_path / "a").read_bytes() == b"first"
    assert received.notes == ("a: left out, File exists",)


def test_no_special_bits_arrive_and_the_owner_can_always_read_and_delete(tmp_path: Path) -> None:
    taken(tmp_path, entry("tool", b"", mode=0o6777), entry("closed", b"", mode=0o000))
    assert (tmp_path / "tool").stat().st_mode & 0o7022 == 0
    assert os.access(tmp_path / "tool", os.X_OK)
    assert (tmp_path / "closed").stat().st_mode & 0o777 == 0o600


def test_a_name_that_is_too_long_for_the_host_costs_only_that_file(tmp_path: Path) -> None:
    received = taken(tmp_path, entry("a" * 300, b"x"), entry("b", b"x"))
    assert names(received, tmp_path) == ["b"]


def test_the_limit_of_bytes_stops_the_copy_and_says_so(tmp_path: Path) -> None:
    received = taken(tmp_path, entry("small", b"x" * 10), entry("big", b"x" * 100), limits=Limits(bytes=50))
    assert names(received, tmp_path) == ["small"]
    assert received.notes == ("big (100 B) and everything larger was left out: the limit is 50 B",)


def test_the_limit_of_entries_stops_the_copy_and_says_so(tmp_path: Path) -> None:
    many = [entry(f"f{number}") for number in range(20)]
    received = taken(tmp_path, *many, limits=Limits(bytes=50, entries=5))
    assert len(received.paths) == 5
    assert received.notes == ("only the first 5 files were copied",)


def test_folders_have_the_same_limit_since_a_name_may_have_many(tmp_path: Path) -> None:
    deep = [entry(f"{number}/" + "a/" * 90 + "f", b"x") for number in range(3)]
    received = taken(tmp_path, *deep, limits=Limits(bytes=50, entries=100))
    assert received.notes == ("only files in the first 100 folders were copied",)
    assert (len(received.paths), sum(path.is_dir() for path in tmp_path.rglob("*"))) == (1, 100)


def test_an_honest_tree_of_many_folders_comes_whole(tmp_path: Path) -> None:
    tree = [entry(f"{folder}/{number}", b"x") for folder in range(9) for number in range(11)]
    received = taken(tmp_path, *tree, limits=Limits(bytes=200, entries=100))
    assert (len(received.paths), received.notes) == (99, ())


def test_a_name_too_deep_to_be_walked_later_is_left_out(tmp_path: Path) -> None:
    received = taken(tmp_path, entry("a/" * 100 + "f"), entry("a/" * 99 + "g"))
    assert names(received, tmp_path) == ["a/" * 99 + "g"]
    assert "left out" in received.notes[0]


def test_links_that_lead_out_go_again_though_the_limit_ends_the_making_of_links(tmp_path: Path) -> None:
    links = [entry(name, kind=tarfile.SYMTYPE, link="/etc/passwd") for name in ("evil", "a/b/c/evil")]
    received = taken(tmp_path, *links, limits=Limits(bytes=50, entries=3))
    assert [path for path in tmp_path.rglob("*") if path.is_symlink()] == []
    assert len(received.notes) == 2


def test_many_bad_entries_do_not_make_a_list_without_end(tmp_path: Path) -> None:
    received = taken(tmp_path, *[entry("../x") for _ in range(100)])
    assert len(received.notes) == 21
    assert received.notes[-1] == "and 80 more"


def test_names_without_end_take_no_memory_and_make_no_long_notes(tmp_path: Path) -> None:
    class Endless:
        """Entries with names of 60 KiB, as many as are read."""

        def __init__(self) -> None:
            one = stream(entry("\x01" * 60_000), form=tarfile.PAX_FORMAT).getvalue()
            self.entry, self.left, self.open = one[: -tarfile.RECORDSIZE], 300, b""

        def read(self, size: int, /) -> bytes:
            while len(self.open) < size and self.left:
                self.left -= 1
                self.open += self.entry
            data, self.open = self.open[:size], self.open[size:]
            return data

    received, peak = extracted_with_peak(Endless(), tmp_path)
    assert received.notes[-1] == "and 280 more"
    assert max(map(len, received.notes)) < 300
    assert peak < 10 << 20


def test_a_stream_that_breaks_off_keeps_what_came_whole(tmp_path: Path) -> None:
    whole = stream(entry("a", b"x" * 2000), entry("b", b"y" * 2000)).getvalue()
    received = extract(io.BytesIO(whole[:4000]), tmp_path, PLENTY)
    assert "a" in names(received, tmp_path)
    assert "damaged" in received.notes[0]


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_headers_without_end_are_reported_and_raise_nothing(tmp_path: Path, kind: bytes) -> None:
    headers = [entry("a", b"14 path=x\n", kind) for _ in range(1200)]
    received = extract(stream(*headers), tmp_path, PLENTY)
    assert "the copy ended early" in received.notes[0]


def test_garbage_is_reported_and_raises_nothing(tmp_path: Path) -> None:
    received = extract(io.BytesIO(os.urandom(4096)), tmp_path, PLENTY)
    assert received.paths == ()
    assert "damaged" in received.notes[0]


def test_an_empty_answer_is_an_empty_copy(tmp_path: Path) -> None:
    assert len(taken(tmp_path)) == 0


class Endless:
    """A stream that goes on for ever, and counts what was read of it."""

    def __init__(self, start: bytes, then: Callable[[int], bytes]) -> None:
        self.start = start
        self.then = then
        self.read_bytes = 0

    def read(self, size: int, /) -> bytes:
        piece, self.start = self.start[:size], self.start[size:]
        piece = piece or self.then(size)
        self.read_bytes += len(piece)
        return piece


def test_a_header_that_claims_gigabytes_is_not_read_into_memory(tmp_path: Path) -> None:
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 1 << 33
    endless = Endless(header.tobuf(tarfile.GNU_FORMAT), lambda size: b"x" * size)
    received = extract(cast(Readable, endless), tmp_path, PLENTY)
    assert "absurdly large" in received.notes[0]
    assert endless.read_bytes < 1 << 20


def test_a_sparse_map_without_end_is_not_followed(tmp_path: Path) -> None:
    header = bytearray(tarfile.TarInfo("sparse").tobuf(tarfile.GNU_FORMAT))
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[482:483] = b"\1"
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    more = (b"0" * 11 + b" ") * 42 + b"\1" + b"\0" * 7
    endless = Endless(bytes(header), lambda _size: more)
    received = extract(cast(Readable, endless), tmp_path, Limits(bytes=1000, entries=10))
    assert received.paths == ()
    assert endless.read_bytes < 1 << 20


def test_a_negative_size_does_not_buy_more_room(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a")
    info.pax_headers = {"size": "-1000000"}
    received = extract(stream((info, b""), form=tarfile.PAX_FORMAT), tmp_path, PLENTY)
    assert received.paths == ()
    assert "damaged" in received.notes[0]


def extension(kind: bytes, words: dict[str, str]) -> bytes:
    """A pax header with these words."""
    text = b"".join(record(key, value) for key, value in words.items())
    header = tarfile.TarInfo("pax")
    header.type, header.size = kind, len(text)
    return header.tobuf(tarfile.USTAR_FORMAT) + text + b"\0" * (-len(text) % 512)


def record(key: str, value: str) -> bytes:
    text = f" {key}={value}\n"
    length = len(text) + next(digits for digits in range(1, 9) if len(str(len(text) + digits)) == digits)
    return f"{length}{text}".encode()


def plain_file(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


SPARSE = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "5"}
MAP = b"200000\n" + b"0\n" * 400_000


@pytest.mark.parametrize(
    "data",
    [
        extension(tarfile.XHDTYPE, SPARSE) + plain_file("a", len(MAP)) + MAP,
        extension(tarfile.XGLTYPE, SPARSE) + plain_file("a", len(MAP)) + MAP,
        extension(tarfile.XHDTYPE, {"GNU.sparse.map": ",".join(["1"] * 30_000)}) + plain_file("a"),
        extension(tarfile.XHDTYPE, {"GNU.sparse.size": "5", "GNU.sparse.offset": "1"}) + plain_file("a"),
    ],
    ids=["1.0", "1.0 by a global header", "0.1", "0.0"],
)
def test_the_map_of_a_file_with_holes_is_refused_before_it_fills_our_memory(tmp_path: Path, data: bytes) -> None:
    received, peak = extracted_with_peak(io.BytesIO(data), tmp_path)
    assert "files with holes" in received.notes[0]
    assert peak < 3 << 20


def test_words_of_global_headers_are_not_kept_for_ever(tmp_path: Path) -> None:
    files = (
        extension(tarfile.XGLTYPE, {f"{file}.{word}": "" for word in range(4000)}) + plain_file(f"f{file}")
        for file in range(20)
    )
    received, peak = extracted_with_peak(io.BytesIO(b"".join(files)), tmp_path)
    assert len(received.paths) == 20
    assert peak < 7 << 20


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_headers_upon_headers_do_not_pile_up_in_memory(tmp_path: Path, kind: bytes) -> None:
    one = extension(kind, {f"{word}": "" for word in range(4000)})
    received, peak = extracted_with_peak(io.BytesIO(one * 50), tmp_path)
    assert "headers without end" in received.notes[0]
    assert peak < 20 << 20


@pytest.mark.parametrize("start", [b"", extension(tarfile.XHDTYPE, {"GNU.sparse.realsize": "1"})])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, b"Z"])
def test_a_file_of_exabytes_that_is_not_there_is_not_skipped_for_years(
    tmp_path: Path, start: bytes, kind: bytes
) -> None:
    data = start + plain_file("../a", 1 << 60, kind)
    received = extract(io.BytesIO(data), tmp_path, PLENTY)
    assert "it breaks off" in received.notes[1]
