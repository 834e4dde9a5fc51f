"""What of a local tree is copied into the guest."""

import os
import socket
from pathlib import Path

import pytest

from kvm_action.archive import packing, select
from kvm_action.errors import PlanError


def tree(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


def test_everything_is_copied_without_excludes_hidden_files_and_empty_folders_too(tmp_path: Path) -> None:
    tree(tmp_path, ".env", "a/b/c.txt")
    (tmp_path / "empty").mkdir()
    assert select(tmp_path).names == (".env", "a", "a/b", "a/b/c.txt", "empty")


@pytest.mark.parametrize(
    ("pattern", "gone"),
    [
        (".git", {".git", ".git/config", "sub/.git", "sub/.git/config"}),
        ("/build", {"build", "build/x"}),
        ("*.log", {"a.log", "sub/b.log"}),
        ("sub/*.log", {"sub/b.log"}),
        ("build/", {"build", "build/x", "sub/build", "sub/build/y"}),
        ("**/y", {"sub/build/y"}),
    ],
)
def test_an_exclude_means_what_it_means_in_a_gitignore(tmp_path: Path, pattern: str, gone: set[str]) -> None:
    tree(tmp_path, ".git/config", "sub/.git/config", "build/x", "sub/build/y", "a.log", "sub/b.log", "keep")
    everything = set(select(tmp_path).names)
    assert everything - set(select(tmp_path, [pattern]).names) == gone


def test_a_later_pattern_can_take_a_file_back(tmp_path: Path) -> None:
    tree(tmp_path, "a.log", "b.log")
    assert select(tmp_path, ["*.log", "!b.log"]).names == ("b.log",)


def test_a_pattern_that_git_would_refuse_is_an_error_of_the_plan(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="not valid"):
        select(tmp_path, ["!"])


def test_links_are_copied_as_links_even_to_folders_and_to_nothing(tmp_path: Path) -> None:
    tree(tmp_path, "real/file")
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "nothing").symlink_to("missing")
    assert select(tmp_path).names == ("folder", "nothing", "real", "real/file")


def test_sockets_and_pipes_are_skipped_since_no_copy_of_them_means_anything(tmp_path: Path) -> None:
    tree(tmp_path, "file")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        selection = select(tmp_path)
    assert selection.names == ("file",)
    assert selection.skipped == ("pipe", "socket")


def test_a_single_file_is_selected_by_its_name(tmp_path: Path) -> None:
    selection = select(tree(tmp_path, "install.sh") / "install.sh")
    assert (selection.root, selection.names) == (tmp_path, ("install.sh",))


def test_a_missing_source_is_an_error_of_the_plan_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="no-such: No such file") as error:
        select(tmp_path / "no-such")
    assert "files: from" in error.value.hint


def test_a_file_that_disappears_before_it_is_packed_is_named(tmp_path: Path) -> None:
    tree(tmp_path, "a", "b")
    selection = select(tmp_path)
    (tmp_path / "a").unlink()
    with packing(selection) as packed, pytest.raises(PlanError, match="a: Cannot stat"):
        list(packed)
