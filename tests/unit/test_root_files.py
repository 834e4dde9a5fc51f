"""Where a disk's root is, and what debugfs says of its files; no disk."""

import pytest

from kvm_action.errors import ImageError
from kvm_action.images.partitions import starts_of_roots
from kvm_action.images.root_archive import Inode, capability, listed

LS = """\
/308/040755/0/0/.//
/2/040755/0/0/..//
/310/104755/0/42/a file/25/
/312/120777/1000/1000/link/4/
/313/020600/0/5/tty//
""".splitlines()


def test_owner_and_mode_of_every_file_are_read_and_names_may_hold_spaces() -> None:
    assert listed(LS) == {
        "a file": Inode(310, 0o104755, 0, 42),
        "link": Inode(312, 0o120777, 1000, 1000),
        "tty": Inode(313, 0o020600, 0, 5),
    }


@pytest.mark.parametrize(
    "lines",
    [
        ["/12/100644/0/0/../../escaped/5/"],
        ["/12/100644/0/0/a", "/5/"],
        ["/12/040755/0/0/x", "dump p //"],
        ["/12/100644/0/0/ok/5/", "/0/../../../escaped/5/"],
        ["/12/120777/0/0/same/5/", "/13/100644/0/0/same/5/"],
        ["/2/040755/0/0/..//", "/12/100644/0/0/../5/"],
    ],
)
def test_a_name_that_would_be_written_somewhere_else_is_refused(lines: list[str]) -> None:
    with pytest.raises(ImageError, match="root file system"):
        listed(lines)


def test_two_names_of_other_bytes_are_two_files() -> None:
    lines = [b"/12/100644/0/0/caf\xe8/1/", b"/13/100644/0/0/caf\xe9/1/"]
    assert len(listed([line.decode(errors="surrogateescape") for line in lines])) == 2


def test_an_entry_whose_file_was_removed_is_none() -> None:
    assert listed(["/0/000000/0/0/old/0/", "/0/000000/0/0//0/", ""]) == {}


def test_a_programs_capability_is_read() -> None:
    told = ["Extended attributes:", "  security.capability (20) = 01 00 00 02 00 20 00 80 "]
    assert capability(told) == bytes([1, 0, 0, 2, 0, 0x20, 0, 0x80])
    assert capability(["Extended attributes:", '  user.note (3) = "abc"']) == b""
    assert capability([]) == b""


def part(kind: str, start: int, size: int) -> dict[str, object]:
    return {"type": kind, "start": start, "size": size}


def test_the_root_is_a_partition_that_says_so_or_any_linux_one_the_largest_first() -> None:
    linux, boot = "0FC63DAF-8483-4772-8E79-3D69D8477DE4", "21686148-6449-6E6F-744E-656564454649"
    root = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"
    assert starts_of_roots([part(boot, 1, 9999), part(linux, 10, 5), part(linux, 20, 50)]) == [20, 10]
    assert starts_of_roots([part(linux, 10, 500), part(root, 20, 5)]) == [20]
    assert starts_of_roots([part("83", 2048, 100)]) == [2048]
    with pytest.raises(ImageError, match="no Linux partition"):
        starts_of_roots([part("7", 2048, 100)])
