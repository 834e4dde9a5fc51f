"""Checksums and addresses as users and publishers write them."""

import pytest

from kvm_action.errors import ImageError, PlanError
from kvm_action.images.addresses import file_name, require_address, require_trusted, shown
from kvm_action.images.checksums import Checksum, listed, of_file, parse

A, B, LONG = "a1" * 32, "b2" * 32, "c3" * 64


@pytest.mark.parametrize(
    "line",
    [f"{A}  disk.qcow2", f"{A} *disk.qcow2", f"{A.upper()}  ./disk.qcow2", f"SHA256 (disk.qcow2) = {A}",
     f"{A}  folder/disk.qcow2", f"\\{A}  disk.qcow2"],
)  # fmt: skip
def test_every_way_of_writing_a_list_is_read(line: str) -> None:
    text = f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{B}  other\n{line}\r\n"
    assert of_file(text, "disk.qcow2", "here") == Checksum("sha256", A)


def test_the_longer_kind_is_told_by_its_length() -> None:
    assert of_file(f"{LONG}  disk", "disk", "here") == Checksum("sha512", LONG)
    assert parse(f" {LONG.upper()}\n") == Checksum("sha512", LONG)


def test_a_name_that_only_ends_alike_has_another_checksum() -> None:
    assert set(listed(f"{A}  big-disk.qcow2\n{B}  disk.qcow2\n")) == {"big-disk.qcow2", "disk.qcow2"}
    assert of_file(f"{A}  big-disk.qcow2\n{B}  disk.qcow2\n", "disk.qcow2", "here").digits == B


def test_two_checksums_for_one_file_are_no_checksum() -> None:
    with pytest.raises(ImageError, match="several checksums"):
        of_file(f"{A}  disk\n{B}  disk\n", "disk", "here")


def test_a_web_page_is_no_list() -> None:
    with pytest.raises(ImageError, match="is no list of checksums"):
        of_file("<html>Not found</html>", "disk", "here")


@pytest.mark.parametrize("text", ["", "xyz", "d41d8cd98f00b204e9800998ecf8427e", A[:-1], A + " disk"])
def test_what_is_no_sha256_or_sha512_is_refused(text: str) -> None:
    with pytest.raises(PlanError, match="is no checksum"):
        parse(text)


@pytest.mark.parametrize(
    "text", ["https://127.0.0.1/", "ftp://h/x", "file:///etc/shadow", "http:///x", "https://[x/y"]
)
def test_what_is_no_address_of_a_file_is_refused(text: str) -> None:
    with pytest.raises(PlanError, match="not the address of a file"):
        require_address(text)


@pytest.mark.parametrize(
    "text", ["http://h.example/SUMS", "http://127.0.0.1.example/SUMS", "http://localhost.example/S"]
)
def test_checksums_that_anybody_on_the_way_can_change_are_refused(text: str) -> None:
    with pytest.raises(PlanError, match="prove nothing"):
        require_trusted(text)


@pytest.mark.parametrize(
    "text", ["https://h.example/SUMS", "http://127.0.0.1:80/S", "http://[::1]/S", "http://localhost/S"]
)
def test_checksums_by_https_or_from_this_host_are_believed(text: str) -> None:
    require_trusted(text)


def test_an_address_is_shown_without_what_may_be_secret() -> None:
    assert shown("https://me:pw@h.example:8443/a/disk.img?token=x#y") == "https://h.example:8443/a/disk.img"
    assert shown("https://me:pw@h.example:no/disk?token=x") == "h.example:no/disk"
    assert shown("http://[::1]:80/disk") == "http://[::1]:80/disk"
    assert file_name("https://h/a/my%20disk.img?x=/y") == "my disk.img"
