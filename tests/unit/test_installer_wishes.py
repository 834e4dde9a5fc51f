"""What is asked of the installer: when an image is made anew, and what is refused before anything is fetched."""

from dataclasses import replace
from pathlib import Path

import pytest

from kvm_action.backends.installing import LEAST_DISK, Wish, install, mark
from kvm_action.errors import ImageError, PlanError
from kvm_action.images.debian_installer.preseed import Preseed
from kvm_action.images.mirror import Mirror
from kvm_action.images.recipes import RECIPES
from kvm_action.images.store import Store

RECIPE = RECIPES["debian-12"]
WISH = Wish(recipe=RECIPE, name="mine", mirror=Mirror(main="http://mirror.example/debian"))
PRESEED = Preseed("mine", "d-i a/b string c\n")


def refused(wish: Wish, folder: Path) -> str:
    with pytest.raises((PlanError, ImageError)) as raised:
        install(Store(folder / "images"), folder / "runs", wish, lambda _line: None)
    assert not list(folder.iterdir()), "nothing is made for what is refused"
    return f"{raised.value.message} / {raised.value.hint}"


def test_another_preseed_another_size_or_another_package_is_another_image() -> None:
    marks = {
        mark(WISH, PRESEED),
        mark(WISH, Preseed("mine", "d-i a/b string d\n")),
        mark(replace(WISH, recipe=replace(RECIPE, disk_bytes=8 << 30)), PRESEED),
        mark(replace(WISH, recipe=replace(RECIPE, extra=("vim",))), PRESEED),
    }
    assert len(marks) == 4
    assert all(each.startswith("installer/debian-12@") for each in marks)


def test_another_iso_is_another_image(tmp_path: Path) -> None:
    disc = tmp_path / "some.iso"
    disc.write_bytes(b"one")
    before = mark(replace(WISH, disc=disc), PRESEED)
    disc.write_bytes(b"other")
    assert len({before, mark(replace(WISH, disc=disc), PRESEED), mark(WISH, PRESEED)}) == 3


def test_the_same_wish_under_another_name_is_the_same_image() -> None:
    assert mark(WISH, PRESEED) == mark(replace(WISH, name="yours"), PRESEED)


def test_a_host_without_a_mirror_is_told_what_to_give(tmp_path: Path) -> None:
    told = refused(replace(WISH, mirror=None), tmp_path)
    assert "needs a mirror" in told
    assert "--mirror URL" in told


def test_a_disk_that_cannot_hold_a_system_is_refused(tmp_path: Path) -> None:
    told = refused(replace(WISH, recipe=replace(RECIPE, disk_bytes=LEAST_DISK - 512)), tmp_path)
    assert "too small" in told
    assert "--size 2.0GiB is the least" in told


def test_a_preseed_that_is_not_there_is_told_as_such(tmp_path: Path) -> None:
    assert "cannot be read" in refused(replace(WISH, preseed=tmp_path / "none.cfg"), tmp_path)
