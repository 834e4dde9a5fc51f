"""Recipes from files: the same image as by options, and mistakes that are pointed at."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kvm_action.cli import main
from kvm_action.errors import PlanError
from kvm_action.images.bootstrap import mark
from kvm_action.images.model import Firmware
from kvm_action.images.recipe_file import load_recipe
from kvm_action.images.recipes import RECIPES, Script, Tuning, tuned

WHOLE = """from: debian-12
packages: [nginx, acl]
size: 8GiB
firmware: uefi
script: prepare.sh
"""
SCRIPT = b"#!/bin/sh\n"


def written(folder: Path, text: str) -> Path:
    (folder / "prepare.sh").write_bytes(SCRIPT)
    path = folder / "web.yml"
    path.write_text(text)
    return path


def test_a_recipe_makes_the_very_image_that_the_options_make(tmp_path: Path) -> None:
    named = load_recipe(written(tmp_path, WHOLE))
    options = Tuning(
        packages=("acl", "nginx"), disk_bytes=8 << 30, firmware=Firmware.UEFI,
        script=Script(name="prepare.sh", content=SCRIPT),
    )  # fmt: skip
    assert named.name == "web"
    assert mark(named.recipe) == mark(tuned(RECIPES["debian-12"], options))


def test_the_smallest_recipe_is_the_image_it_begins_with_under_its_own_name(tmp_path: Path) -> None:
    named = load_recipe(written(tmp_path, "from: debian-13\nname: mine\n"))
    assert (named.name, named.recipe) == ("mine", RECIPES["debian-13"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("from: debian-12\npakages: [x]\n", "web.yml:2:1: there is no key pakages"),
        ("from: debian-11\n", "web.yml:1:7: from: expected one of: debian-13, debian-12"),
        ("from: [debian-13]\n", "web.yml:1:7: from: expected one of: debian-13, debian-12"),
        ("from: {a: b}\n", "web.yml:1:7: from: expected one of"),
        ('from: debian-12\nscript: "a\\0b"\n', "web.yml:2:9: script: expected some text"),
        ("from: debian-12\nsize: [8GiB]\n", "size: expected a size, such as 8GiB"),
        (f"from: debian-12\nsize: '{'9' * 400}'\n", "size: larger than any size"),
        ("from: debian-12\ntoken: 8GiB\n", "token: 8GiB"),
        ("#" * (1 << 20) + "\n", "larger than 1 MiB"),
        ("packages: [x]\n", "does not say what it begins with"),
        ("from: debian-12\npackages: nginx\n", "web.yml:2:11: packages: expected a list of names"),
        ("from: debian-12\npackages: [5]\n", "packages: expected some text"),
        ("from: debian-12\nsize: big\n", "web.yml:2:7: size: not a size: 'big'"),
        ("from: debian-12\nfirmware: efi\n", "web.yml:2:11: firmware: expected bios or uefi"),
        ("from: debian-12\nscript: other.sh\n", "other.sh cannot be read"),
        ("from: debian-12\nsize: 1MiB\n", "a disk of 1.0 MiB is not possible"),
        ("- a\n", "it is no mapping of keys"),
        ("", "it is no mapping of keys"),
        ("from: [\n", "web.yml:"),
        ("from: a\nfrom: b\n", "web.yml:2"),
    ],
)
def test_a_mistake_is_pointed_at(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(PlanError) as caught:
        load_recipe(written(tmp_path, text))
    assert told in caught.value.message


def test_a_recipe_is_utf_8_whatever_the_locale_is(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_bytes("\ufefffrom: debian-13  # für alle\n".encode())
    code = "import sys; from kvm_action.images.recipe_file import *; print(load_recipe(Path(sys.argv[1])).name)"
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    line = [sys.executable, "-c", code, str(path)]
    assert subprocess.run(line, check=True, env=environment, capture_output=True).stdout == b"web\n"


def test_a_recipe_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["image", "build", str(tmp_path / "none.yml")]) == 2
    assert f"the recipe {tmp_path}/none.yml cannot be read" in capsys.readouterr().err


def test_a_recipe_is_not_for_cloud_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["image", "build", str(written(tmp_path, WHOLE)), "--method", "cloud"]) == 2
    assert "there is no cloud image" in capsys.readouterr().err
