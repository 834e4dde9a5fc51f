"""The NoCloud volume holds what cloud-init needs, readable by its owner only."""

import io
from dataclasses import replace
from pathlib import Path

import pycdlib
import pytest
import yaml

from kvm_action.iso import volume
from kvm_action.seed import VOLUME, SeedSpec, documents, write

SPEC = SeedSpec(
    instance_id="run-1",
    hostname="e2e-1",
    mac="52:54:00:00:00:01",
    user="testuser",
    sudo=True,
    authorized_key="ssh-ed25519 AAAA",
    host_key_private="-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\n",
    host_key_public="ssh-ed25519 BBBB",
    password="p: {[#'\"",
)


def read(name: str, spec: SeedSpec = SPEC) -> dict[str, object]:
    """As cloud-init reads it: with PyYAML, that is YAML 1.1."""
    return yaml.safe_load(documents(spec)[name])


def user_data() -> dict[str, object]:
    return read("user-data")


def test_the_guest_is_given_our_host_key_and_makes_none_of_its_own() -> None:
    data = user_data()
    assert data["ssh_keys"] == {"ed25519_private": SPEC.host_key_private, "ed25519_public": SPEC.host_key_public}
    assert "ssh_genkeytypes" not in data  # with ssh_keys none are made; an empty list breaks cloud-init's schema


def test_a_hostile_password_arrives_as_it_was_written() -> None:
    assert user_data()["users"][0]["plain_text_passwd"] == SPEC.password


def test_a_mac_address_of_decimal_digits_is_not_read_as_a_number() -> None:
    spec = replace(SPEC, mac="52:54:00:51:56:17")
    assert read("network-config", spec)["ethernets"]["nic0"]["match"]["macaddress"] == spec.mac


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "off",
        "0123",
        "1:30",
        "1e3",
        "2026-11-23",
        "null",
        "~",
        "=",
        "<<",
        "é\u202e\n",
        "pässwörd\U0001f600",
        "\x7f\x85\u2028\ufeff",
    ],
)
def test_text_that_looks_like_something_else_stays_text(text: str) -> None:
    spec = replace(SPEC, password=text, user="no", hostname="on")
    assert read("user-data", spec)["users"][0]["plain_text_passwd"] == text
    assert read("user-data", spec)["users"][0]["name"] == "no"
    assert read("meta-data", spec)["local-hostname"] == "on"


def test_the_volume_is_labelled_cidata_and_holds_the_files_under_their_real_names() -> None:
    iso = pycdlib.PyCdlib()
    iso.open_fp(io.BytesIO(volume(documents(SPEC), VOLUME)))
    assert iso.pvd.volume_identifier.decode().strip() == "cidata"
    for name, text in documents(SPEC).items():
        for where in ({"rr_path": f"/{name}"}, {"joliet_path": f"/{name}"}):
            out = io.BytesIO()
            iso.get_file_from_iso_fp(out, **where)
            assert out.getvalue().decode() == text
    iso.close()


def test_the_file_with_the_private_key_is_its_owners_alone(tmp_path: Path) -> None:
    write(SPEC, tmp_path / "seed.iso")
    assert (tmp_path / "seed.iso").stat().st_mode & 0o777 == 0o600


def test_secrets_do_not_show_when_a_spec_is_printed() -> None:
    assert "PRIVATE KEY" not in repr(SPEC)
    assert SPEC.password not in repr(SPEC)
