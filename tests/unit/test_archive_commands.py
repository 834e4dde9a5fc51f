"""The shell lines that pack and unpack in the guest."""

import re
import shlex

import pytest

from kvm_action.archive import find_command, unpack_command


def expression(pattern: str) -> "re.Pattern[str]":
    words = shlex.split(find_command(pattern))
    return re.compile(words[words.index("-regex") + 1])


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/var/log/vps/**", "/var/log/vps/a/b.log", True),
        ("/var/log/vps/**", "/var/log/vpsx/a", False),
        ("/var/log/vps", "/var/log/vps/a/b.log", True),
        ("/var/log/vps/", "/var/log/vps/a", True),
        ("/var/log/*.log", "/var/log/a.log", True),
        ("/var/log/*.log", "/var/log/sub/a.log", False),
        ("/var/log/*.log", "/var/log/alog", False),
        ("/var/**/*.log", "/var/a.log", True),
        ("/var/**/*.log", "/var/x/y/a.log", True),
        ("/srv/file?.txt", "/srv/file1.txt", True),
        ("/srv/file?.txt", "/srv/file12.txt", False),
        ("/srv/[ab].txt", "/srv/a.txt", True),
        ("/srv/[!ab].txt", "/srv/c.txt", True),
        ("/srv/[!ab].txt", "/srv/a.txt", False),
        ("/srv/*", "/srv/.hidden", True),
        ("/srv/a+b(1).txt", "/srv/a+b(1).txt", True),
    ],
)
def test_a_pattern_matches_what_a_reader_expects(pattern: str, path: str, matches: bool) -> None:
    assert bool(expression(pattern).fullmatch(path)) is matches


@pytest.mark.parametrize(
    ("pattern", "base"),
    [("/var/log/**", "/var/log"), ("/*", "/"), ("/var/log/x", "/var/log/x"), ("/a b/c*", "'/a b'")],
)
def test_only_the_folder_that_can_hold_matches_is_searched(pattern: str, base: str) -> None:
    assert find_command(pattern).startswith(f"find -H {base} ")


def test_a_pattern_cannot_leave_its_quotes() -> None:
    words = shlex.split(find_command("/tmp/'; rm -rf ~ #*"))
    assert "rm" not in words


@pytest.mark.parametrize(
    ("to", "file", "folder", "name"),
    [
        ("/opt/vps", "", "/opt/vps", ""),
        ("/etc/app.conf", "mine.conf", "/etc", "app.conf"),
        ("/etc/app.d/", "mine.conf", "/etc/app.d/", "mine.conf"),
    ],
)
def test_a_tree_goes_into_its_target_and_a_file_becomes_it(to: str, file: str, folder: str, name: str) -> None:
    command, packed_as = unpack_command(to, file=file, owner=(1000, 1000))
    assert packed_as == name
    assert f"--directory {folder} " in command
