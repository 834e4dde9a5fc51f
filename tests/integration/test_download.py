"""Downloads from a server on loopback that does what bad ones do: nothing but the whole file ever comes of it."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import web_server as web
from web_server import Shelf

from kvm_action.errors import HostError, ImageError, PlanError
from kvm_action.images.checksums import Checksum
from kvm_action.images.cloud import checksum_of, downloaded
from kvm_action.images.download import Patience, fetch, fetch_text

pytestmark = pytest.mark.integration

FAST = Patience(
    silence=timedelta(seconds=60), pause=timedelta(milliseconds=10), whole=timedelta(seconds=120), tries=3
)
CONTENT = os.urandom(3 << 20)
PLACE = "/disk.qcow2"


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with web.web_server() as shelf:
        shelf.files[PLACE] = CONTENT
        yield shelf


class Download:
    """Into a folder of the test; keeps what was told."""

    def __init__(self, shelf: Shelf, folder: Path) -> None:
        self.shelf, self.target, self.told = shelf, folder / "target", list[str]()

    def __call__(self, patience: Patience = FAST, path: str = PLACE) -> bytes:
        fetch(self.shelf.address + path, self.target, self.told.append, patience)
        assert not list(self.target.parent.glob("*.part*")), "a finished download leaves nothing beside it"
        return self.target.read_bytes()

    @property
    def kept(self) -> int:
        part = self.target.with_name("target.part")
        return part.stat().st_size if part.exists() else 0


@pytest.fixture
def download(shelf: Shelf, tmp_path: Path) -> Download:
    return Download(shelf, tmp_path / "downloads")


def test_a_file_comes_whole_and_its_progress_is_told(download: Download) -> None:
    assert download() == CONTENT
    assert download.told[-1] == "downloaded 3.0 MiB of 3.0 MiB"
    assert 2 <= len(download.told) <= 11


def test_a_connection_that_breaks_again_and_again_costs_only_what_is_still_missing(download: Download) -> None:
    download.shelf.faults[PLACE] = [web.breaks_off_after(1 << 20), web.breaks_off_after(1 << 19)]
    assert download() == CONTENT
    assert download.shelf.ranges(PLACE) == ["", f"bytes={1 << 20}-", f"bytes={(1 << 20) + (1 << 19)}-"]
    assert any("the connection broke after 1.0 MiB" in line for line in download.told)


def test_the_next_call_goes_on_where_the_last_one_gave_up(download: Download) -> None:
    download.shelf.faults[PLACE] = [web.breaks_off_after(1 << 20), *[web.answers(503)] * 3]
    with pytest.raises(ImageError, match="503") as caught:
        download()
    assert "call it again to go on" in caught.value.hint
    assert download() == CONTENT
    assert download.shelf.ranges(PLACE)[-1] == f"bytes={1 << 20}-"


def test_a_file_that_was_replaced_on_the_server_meanwhile_is_fetched_from_its_beginning(
    download: Download,
) -> None:
    download.shelf.faults[PLACE] = [web.breaks_off_after(1 << 20), *[web.answers(503)] * 3]
    with pytest.raises(ImageError):
        download()
    download.shelf.files[PLACE] = newer = os.urandom(2 << 20)
    assert download() == newer


def test_the_rest_of_another_address_is_never_appended(download: Download) -> None:
    download.shelf.faults[PLACE] = [web.breaks_off_after(1 << 20), *[web.answers(503)] * 3]
    with pytest.raises(ImageError):
        download()
    download.shelf.files["/other"] = CONTENT[::-1]
    assert download(path="/other") == CONTENT[::-1]


def test_without_an_etag_or_a_date_it_starts_over_rather_than_glue_two_files(download: Download) -> None:
    download.shelf.has_etag = False
    download.shelf.faults[PLACE] = [web.breaks_off_after(1 << 20)]
    assert download() == CONTENT
    assert download.shelf.ranges(PLACE) == ["", ""]


@pytest.mark.parametrize("fault", [web.knows_no_ranges, web.gives_another_part, web.answers(416)])
def test_a_server_that_is_bad_at_parts_still_brings_the_right_file(download: Download, fault: web.Fault) -> None:
    download.shelf.faults[PLACE] = [web.breaks_off_after(1 << 20), fault]
    assert download() == CONTENT


def test_a_server_that_gives_less_than_was_asked_for_is_asked_for_the_rest(download: Download) -> None:
    download.shelf.faults[PLACE] = [web.breaks_off_after(1 << 20), *[web.gives_parts_of_at_most(700_000)] * 2]
    assert download() == CONTENT
    assert download.shelf.ranges(PLACE)[1:] == [
        f"bytes={1 << 20}-",
        f"bytes={(1 << 20) + 700_000}-",
        f"bytes={(1 << 20) + 1_400_000}-",
    ]


def test_a_download_that_was_complete_when_we_were_killed_is_not_fetched_again(
    download: Download, tmp_path: Path
) -> None:
    download.shelf.faults[PLACE] = [web.breaks_off_after(1 << 20), *[web.answers(503)] * 3]
    with pytest.raises(ImageError):
        download()
    download.target.with_name("target.part").write_bytes(CONTENT)
    assert download() == CONTENT


def test_a_length_that_is_too_large_is_a_broken_connection_and_ends(download: Download) -> None:
    download.shelf.faults[PLACE] = [web.says_length(len(CONTENT) + 1000)] * 20
    download.shelf.has_etag = False
    with pytest.raises(ImageError, match="could not be downloaded"):
        download()


def test_a_length_that_no_disk_can_hold_is_refused_before_anything_is_written(download: Download) -> None:
    download.shelf.faults[PLACE] = [web.says_length(1 << 60)]
    with pytest.raises(HostError, match="no space for the download"):
        download()
    assert download.kept == 0


def test_a_server_that_says_no_length_is_believed_until_the_checksum_is_compared(download: Download) -> None:
    download.shelf.faults[PLACE] = [web.says_no_length]
    assert download() == CONTENT


@pytest.mark.parametrize("status", [404, 403, 410])
def test_what_is_not_there_is_said_at_once(download: Download, status: int) -> None:
    download.shelf.faults[PLACE] = [web.answers(status)]
    with pytest.raises(ImageError, match=str(status)):
        download()
    assert len(download.shelf.asked) == 1


def test_a_server_that_recovers_is_asked_again(download: Download) -> None:
    download.shelf.faults[PLACE] = [web.answers(503), web.answers(429)]
    assert download() == CONTENT


def test_a_redirection_is_followed_and_a_circle_is_not(download: Download) -> None:
    download.shelf.faults["/latest"] = [web.redirects(PLACE)]
    assert download(path="/latest") == CONTENT
    download.shelf.faults["/circle"] = [web.redirects("/circle")] * 50
    with pytest.raises(ImageError, match="cannot be fetched"):
        download(path="/circle")


def test_a_redirection_into_this_host_is_refused(download: Download) -> None:
    download.shelf.faults[PLACE] = [web.redirects("file:///etc/shadow")]
    with pytest.raises(ImageError, match="cannot be fetched"):
        download()


def test_a_slow_drip_ends_with_its_time_and_what_came_is_kept(download: Download) -> None:
    download.shelf.faults[PLACE] = [web.drips]
    with pytest.raises(ImageError, match=r"was not here after 1s: \d+ B have come"):
        download(Patience(whole=timedelta(seconds=1), silence=timedelta(seconds=5)))
    assert download.kept > 0


def test_a_server_that_falls_silent_is_left_and_asked_for_the_rest(download: Download) -> None:
    download.shelf.faults[PLACE] = [web.falls_silent]
    assert download(replace(FAST, silence=timedelta(seconds=1))) == CONTENT
    assert download.shelf.ranges(PLACE)[1] == "bytes=1000-"


def test_nobody_there_is_said_so_with_the_address_but_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught:
        fetch("http://me:secret@127.0.0.1:9/disk?token=secret", tmp_path / "x", lambda _line: None, FAST)
    assert "http://127.0.0.1:9/disk" in caught.value.message
    assert "secret" not in caught.value.message + caught.value.hint


def test_a_password_in_the_address_is_not_written_down(download: Download) -> None:
    download.shelf.faults[PLACE] = [web.breaks_off_after(1000), *[web.answers(503)] * 3]
    address = download.shelf.address.replace("http://", "http://me:secret@")
    with pytest.raises(ImageError):
        fetch(address + PLACE, download.target, download.told.append, FAST)
    note = json.loads(download.target.with_name("target.part.json").read_text())
    assert note["validator"]
    assert "secret" not in str(note)


def test_checksums_are_taken_from_https_or_this_host_only(shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="prove nothing"):
        fetch_text("http://192.0.2.1/SHA256SUMS", FAST)
    shelf.faults["/SHA256SUMS"] = [web.redirects("http://192.0.2.1/SHA256SUMS")]
    with pytest.raises(PlanError, match="prove nothing"):
        fetch_text(shelf.address + "/SHA256SUMS", FAST)


def test_a_list_of_checksums_may_be_an_address_or_a_file(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "SHA256SUMS").write_text(f"{'ab' * 32}  disk.qcow2\n")
    shelf.files["/SHA256SUMS"] = (tmp_path / "SHA256SUMS").read_bytes()
    for source in (str(tmp_path / "SHA256SUMS"), shelf.address + "/SHA256SUMS"):
        assert checksum_of(shelf.address + PLACE, source) == Checksum("sha256", "ab" * 32)


def test_a_list_of_checksums_without_end_is_refused(shelf: Shelf) -> None:
    shelf.files["/SHA256SUMS"] = b"x" * (5 << 20)
    with pytest.raises(ImageError, match="too long"):
        fetch_text(shelf.address + "/SHA256SUMS", FAST)


def test_a_refused_file_is_gone_and_one_that_the_host_had_no_place_for_is_kept(
    shelf: Shelf, tmp_path: Path
) -> None:
    folder, checksum = tmp_path / "downloads", Checksum("sha256", "ab" * 32)
    for error, left in ((ImageError, []), (HostError, [checksum.digits[:32]])):
        with pytest.raises(error), downloaded(shelf.address + PLACE, checksum, folder, lambda _line: None):
            raise error("no")
        assert [file.name for file in folder.iterdir() if file.suffix != ".lock"] == left
    with downloaded(shelf.address + PLACE, checksum, folder, lambda _line: None) as file:
        assert file.read_bytes() == CONTENT
    assert len(shelf.asked) == 2, "what is there is not fetched again"


def test_what_nobody_came_back_for_is_removed_after_two_weeks(shelf: Shelf, tmp_path: Path) -> None:
    old = tmp_path / "old.part"
    old.write_bytes(b"x")
    os.utime(old, (0, 0))
    with downloaded(shelf.address + PLACE, Checksum("sha256", "ab" * 32), tmp_path, lambda _line: None):
        assert not old.exists()


@pytest.mark.parametrize(
    ("name", "value"), [("ALL_PROXY", "socks://localhost:1"), ("NO_PROXY", "::1/128,fe80::/10,[::1]")]
)
def test_a_proxy_that_cannot_be_used_is_named_as_such(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(HostError, match="proxy that the environment names") as raised:
        fetch_text("http://127.0.0.1:1/SHA256SUMS", FAST)
    assert name in raised.value.hint
