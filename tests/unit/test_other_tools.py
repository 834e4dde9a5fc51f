"""The examples for Packer and Terraform hold together, as a parser of HCL reads them."""

import re
from collections.abc import Iterator
from pathlib import Path

import hcl2
import pytest
import yaml

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = [*EXAMPLES.glob("packer/*.hcl"), *EXAMPLES.glob("terraform/*.tf")]


def parsed(path: Path) -> dict:
    with path.open() as file:
        return hcl2.load(file)


def texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)


def blocks(document: dict, kind: str) -> dict[str, dict]:
    """Blocks of a kind by their labels, joined with dots; the parser leaves the labels' quotes."""
    found: dict[str, dict] = {}
    for inner in document.get(kind, []):
        block, labels = inner, []
        while len(block) == 1 and next(iter(block)).startswith('"'):
            [(label, block)] = block.items()
            labels.append(label.strip('"'))
        found[".".join(labels)] = block
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_variable_that_an_example_uses_is_declared_and_every_declared_one_used(path: Path) -> None:
    document = parsed(path)
    used = {name for text in texts(document) for name in re.findall(r"\bvar\.(\w+)", text)}
    assert used == set(blocks(document, "variable"))


def test_the_base_image_has_to_be_given_to_both() -> None:
    for path in (EXAMPLES / "packer/debian.pkr.hcl", EXAMPLES / "terraform/main.tf"):
        assert "default" not in blocks(parsed(path), "variable")["base_image"]


def test_terraforms_resources_refer_to_each_other_by_names_that_are_there() -> None:
    document = parsed(EXAMPLES / "terraform/main.tf")
    there = set(blocks(document, "resource"))
    used = {name for text in texts(document) for name in re.findall(r"\b(libvirt_\w+\.\w+)", text)}
    assert used <= there
    assert {name.split(".")[0] for name in there} == {"libvirt_volume", "libvirt_cloudinit_disk", "libvirt_domain"}


def test_terraforms_machine_gets_its_seed_where_debians_cloud_kernel_sees_it() -> None:
    machine = blocks(parsed(EXAMPLES / "terraform/main.tf"), "resource")["libvirt_domain.vps"]
    assert "cloudinit" not in machine
    assert [disk["volume_id"] for disk in machine["disk"]] == [
        "${libvirt_volume.disk.id}",
        '${split(";", libvirt_cloudinit_disk.seed.id)[0]}',
    ]


def test_packer_forwards_the_guests_ssh_on_loopback_only() -> None:
    source = blocks(parsed(EXAMPLES / "packer/debian.pkr.hcl"), "source")["qemu.debian"]
    arguments = {option.strip('"'): value for option, value in source["qemuargs"]}
    assert "hostfwd=tcp:127.0.0.1:{{ .SSHHostPort }}-:22" in arguments["-netdev"]


def test_what_cloud_init_is_told_is_valid_and_names_the_account_that_packer_uses() -> None:
    told = yaml.safe_load((EXAMPLES / "packer/http/user-data").read_text())
    source = blocks(parsed(EXAMPLES / "packer/debian.pkr.hcl"), "source")["qemu.debian"]
    assert told["users"][0]["name"] == source["ssh_username"].strip('"')
    assert source["shutdown_command"].strip('"') == f"sudo {told['write_files'][0]['path']}"
