"""The house: imports go down the floors, heavy libraries have one door, files and functions stay small."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

PACKAGE: Final = Path(__file__).parent.parent / "kvm_action"
MODULES: Final = sorted(PACKAGE.rglob("*.py"))
LINES_OF_A_FILE: Final = 400

# A module's floor is that of its first name here.
FLOORS: Final = {
    "": 6,
    "__main__": 6,
    "errors": 0, "digest": 0, "units": 0, "wait": 0, "results": 0, "text": 0, "signs": 0,
    "events": 1, "events_file": 1, "proc": 1, "guest": 1, "paths": 1, "result_file": 1, "plan": 1, "templating": 1,
    "whole_file": 1, "work_folder": 1, "locks": 1, "guest_io": 1, "guest_shell": 1, "workflow": 1,
    "output": 1, "boot": 1, "leases": 1, "reach": 1, "interruption": 1, "host": 1, "archive": 1, "procfs": 1,
    "iso": 1, "patience": 1, "shortage": 1,
    "admission": 2,
    "runs": 2, "doctor": 2, "accel": 2, "images": 2, "seed": 2, "ssh": 2, "hypervisor": 2, "guest_state": 2,
    "renewal": 2, "frozen": 2, "containers": 2,
    "backends": 3, "checks": 3,
    "lifecycle": 4, "bench": 4,
    "report": 5, "publish": 5, "history": 5, "pages": 5,
    "cli": 6, "action": 6,
}  # fmt: skip
# Capabilities do not know each other.
STRANGERS: Final = {"admission", "doctor", "accel", "images", "seed", "ssh", "hypervisor", "containers"}
MACHINERY: Final = {"hypervisor", "ssh", "seed", "images", "backends", "lifecycle", "accel", "containers"}
DOORS: Final = {
    "libvirt": {"hypervisor"},
    "libvirt_qemu": {"hypervisor"},
    "docker": {"containers"},
    "paramiko": {"ssh"},
    "pycdlib": {"iso"},
    "testinfra": {"checks"},
    "jinja2": {"templating"},
    "subprocess": {"proc"},
    "rich": {"cli"},
    "click": {"cli"},
    "junitparser": {"report", "checks"},
    "ruamel": {"plan"},
    "github": {"publish"},
    "requests": {"publish"},
    "httpx": {"images"},
    "mkdocs": {"pages"},
    "yaml": {"pages"},
}


def name_of(path: Path) -> str:
    return (
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        .removesuffix(".__init__")
        .removesuffix("__init__")
    )


def part_of(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "kvm_action":
                yield from (f"kvm_action.{alias.name}" for alias in node.names)
            else:
                yield node.module


def own_imports(path: Path) -> set[str]:
    return {part_of(name.removeprefix("kvm_action.")) for name in imports(path) if name.startswith("kvm_action.")}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_has_a_floor_and_imports_only_from_its_own_or_lower_ones(path: Path) -> None:
    part = part_of(name_of(path))
    assert part in FLOORS, f"give {part} a floor"
    higher = {name for name in own_imports(path) if FLOORS.get(name, 0) > FLOORS[part]}
    assert not higher, f"{name_of(path)} reaches up to {higher}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_capabilities_do_not_know_each_other_and_telling_never_sees_a_machine(path: Path) -> None:
    part, used = part_of(name_of(path)), own_imports(path)
    if part in STRANGERS:
        assert not (used & STRANGERS) - {part}
    if part in {"report", "publish", "workflow", "result_file", "history", "pages"}:
        assert not used & MACHINERY
    if part == "checks":
        assert not used & (MACHINERY - {"checks"})


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_heavy_library_is_imported_behind_one_door(path: Path) -> None:
    part = part_of(name_of(path))
    for library in {name.split(".")[0] for name in imports(path)} & DOORS.keys():
        assert part in DOORS[library], f"{library} belongs in {DOORS[library]}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_file_has_one_subject_and_says_which(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= LINES_OF_A_FILE
    assert ast.get_docstring(ast.parse(text)), "a module says in a line what it is for"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nobody_sleeps_and_nobody_uses_globals(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Global)]
    sleeps = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr == "sleep"]
    calls = [n.func for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)]
    sleeps += [n for n in calls if n.attr == "wait" and isinstance(n.value, ast.Call)]  # Event().wait(...)
    assert not sleeps, "wait on a Deadline"


def test_no_name_hides_what_a_module_is_for() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}
    assert not [path for path in MODULES if path.stem in vague]
