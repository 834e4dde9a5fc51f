"""What a second run of a script changed: found, told with a small difference, and never with a secret."""

import io
import re
import struct
import tarfile
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvm_action.errors import PlanError
from kvm_action.guest import GuestOutput
from kvm_action.guest_state import Watched, capture, debian, parsing
from kvm_action.guest_state.differences import MOST_CHANGES, differences
from kvm_action.guest_state.model import DPKG_STATUS, Entry, GuestState
from kvm_action.guest_state.text_diff import LINES, Remark, text_diff
from kvm_action.lifecycle.idempotence import tell, telling_lines
from kvm_action.results import Change

FILE = Entry("f", 0o644, "0:0", 8, "7/1.0")
NOTHING = GuestState({}, {}, {})


def state(**files: bytes | None) -> GuestState:
    """Files of /etc by their names, with what they hold; None: too much to keep."""
    entries = {f"/etc/{name}": replace(FILE, stamp=f"{name} {held!r}") for name, held in files.items()}
    return GuestState(entries, {f"/etc/{n}": held for n, held in files.items() if held is not None}, {})


def only(before: GuestState, after: GuestState) -> Change:
    (change,) = differences(before, after)
    return change


def test_nothing_changed_is_no_change() -> None:
    assert differences(state(a=b"x"), state(a=b"x")) == ()


def test_a_file_that_was_written_again_with_the_same_content_is_no_change() -> None:
    again = state(a=b"x")
    assert differences(state(a=b"x"), replace(again, entries={"/etc/a": replace(FILE, stamp="8/2.0")})) == ()


def test_what_came_went_and_changed_is_told() -> None:
    changes = differences(state(a=b"1\n", b=b"1\n"), state(b=b"2\n", c=b"1\n"))
    assert [tell(change) for change in changes] == [
        "file /etc/a was removed",
        "file /etc/b is different",
        "file /etc/c was added",
    ]
    assert [change.diff for change in changes] == [
        "@@ -1 +0,0 @@\n-1\n", "@@ -1 +1 @@\n-1\n+2\n", "@@ -0,0 +1 @@\n+1\n",
    ]  # fmt: skip


def test_a_change_of_mode_owner_or_link_counts_without_any_difference_in_content() -> None:
    opened = replace(state(a=b"x"), entries={"/etc/a": replace(FILE, mode=0o666)})
    change = only(state(a=b"x"), opened)
    assert (change.before, change.after, change.diff) == (
        "0644 0:0, 8 bytes", "0666 0:0, 8 bytes", "",
    )  # fmt: skip
    old, new = (GuestState({"/etc/l": Entry("l", 0o777, "0:0", 1, target, target)}, {}, {}) for target in "ab")
    assert (only(old, new).area, only(old, new).after) == ("link", "a link to b")


def test_owners_are_told_by_their_names() -> None:
    users, groups = b"root:x:0:0::/:/bin/sh\nweb:x:33:33::/:/bin/sh\n", b"root:x:0:\nwww:x:34:\n"
    before = state(passwd=users, group=groups, a=b"x")
    after = replace(before, entries={**before.entries, "/etc/a": replace(FILE, owner="33:34")})
    assert (only(before, after).before, only(before, after).after) == (
        "0644 root:root, 8 bytes", "0644 web:www, 8 bytes",
    )  # fmt: skip


def test_a_folder_is_no_change_because_something_in_it_changed() -> None:
    old, new = (GuestState({"/etc": Entry("d", 0o755, "0:0", size, f"{size}")}, {}, {}) for size in (1, 2))
    assert differences(old, new) == ()


def test_what_only_some_may_read_is_noticed_and_not_shown() -> None:
    private = replace(FILE, mode=0o640)
    before, after = (
        GuestState({"/etc/shadow": replace(private, stamp=key)}, {}, {"/etc/shadow": key}) for key in "ab"
    )
    change = only(before, after)
    assert change.diff == Remark.PRIVATE
    assert change.after == "0640 0:0, 8 bytes, with other content"


def test_a_file_that_everybody_may_read_now_does_not_show_what_it_hid_before() -> None:
    before = GuestState({"/etc/key": replace(FILE, mode=0o600)}, {}, {"/etc/key": "a"})
    assert only(before, state(key=b"secret\n")).diff == Remark.PRIVATE


def test_secrets_are_masked_even_where_a_long_line_is_cut() -> None:
    line = b"x" * 295 + b"hunter22\n"
    (change,) = differences(state(a=b""), state(a=line), lambda text: text.replace("hunter22", "***"))
    assert "hunt" not in change.diff


def test_binary_and_large_files_say_so_instead_of_a_difference() -> None:
    assert text_diff(b"a\0", b"b\0") == Remark.BINARY
    assert text_diff(b"\xff", b"a") == Remark.BINARY
    assert text_diff(b"", b"line\n" * 5000) == Remark.LARGE
    assert only(state(a=b"x"), state(a=None)).diff == Remark.LARGE


def test_a_long_difference_is_cut_and_says_how_much_is_missing() -> None:
    lines = text_diff(b"", b"".join(b"%d\n" % number for number in range(200))).splitlines()
    assert len(lines) == LINES + 1
    assert lines[-1] == "… 141 more lines"


def test_a_missing_line_end_is_a_difference_one_can_see() -> None:
    assert text_diff(b"a\n", b"a") == "@@ -1 +1 @@\n-a\n+a (no line end)\n"


def test_a_flood_of_changes_is_counted_and_not_listed_without_end() -> None:
    many = {f"/etc/{number}": FILE for number in range(MOST_CHANGES + 500)}
    changes = differences(NOTHING, GuestState(many, {}, {}))
    assert len(changes) == MOST_CHANGES + 1
    assert changes[-1].item == "500 more"


def test_packages_users_and_repositories_come_before_the_files_behind_them() -> None:
    def look(version: bytes, users: bytes, sources: bytes) -> GuestState:
        held = {
            DPKG_STATUS: b"Package: curl\nStatus: install ok installed\nArchitecture: amd64\nVersion: "
            + version
            + b"\n",
            "/etc/passwd": users,
            "/etc/apt/sources.list": sources,
        }
        return GuestState({path: replace(FILE, stamp=str(text)) for path, text in held.items()}, held, {})

    before = look(b"1", b"root:x:0:0::/root:/bin/sh\n", b"deb http://a/debian bookworm main\n")
    after = look(
        b"2", b"root:x:0:0::/root:/bin/sh\nx:x:1:1::/:/bin/sh\n", b"deb http://a/debian bookworm main contrib\n"
    )
    assert [(change.area, change.item) for change in differences(before, after)] == [
        ("package", "curl:amd64"),
        ("user", "x"),
        ("repository", "deb http://a/debian bookworm"),
        ("file", "/etc/apt/sources.list"),
        ("file", "/etc/passwd"),
    ]


def test_a_list_of_users_that_could_not_be_read_again_is_not_taken_for_an_empty_one() -> None:
    before = state(passwd=b"root:x:0:0::/root:/bin/sh\n")
    assert [change.area for change in differences(before, state(passwd=None))] == ["file"]


def test_both_ways_to_write_down_a_repository_are_read_and_no_login_is_shown() -> None:
    held = {
        "/etc/apt/sources.list.d/a.list": b"# deb http://old x\n"
        b"deb [signed-by=/k] https://me:pw@h/d bookworm main # ours\n",
        "/etc/apt/sources.list.d/b.sources": b"Types: deb deb-src\nURIs: http://b/\n"
        b"Suites: s1\n s2\nComponents: main\n\n"
        b"Types: deb\nURIs: http://off/\nSuites: s\nEnabled: no\n",
    }
    assert debian.repositories(held) == {
        "deb https://***@h/d bookworm": "main",
        "deb http://b/ s1": "main",
        "deb http://b/ s2": "main",
        "deb-src http://b/ s1": "main",
        "deb-src http://b/ s2": "main",
    }


def test_services_that_are_on_their_way_are_left_alone_and_those_that_failed_are_not() -> None:
    before, after = (
        replace(NOTHING, units=parsing.units(text))
        for text in (
            b"a.service loaded activating start A\nb.service loaded active running B\n"
            b"getty@tty1.service loaded active running G\n"
            b"t.timer loaded active waiting T\n",
            b"a.service loaded active exited A\nb.service loaded failed failed B\n"
            b"t.timer loaded active running T\n",
        )
    )
    change = only(before, after)
    assert (change.item, change.before, change.after) == ("b.service", "active running", "failed failed")


def test_ports_are_read_from_the_kernels_tables_without_those_of_a_moment() -> None:
    def line(address: bytes, port: int, status: str) -> bytes:
        words = b"".join(
            struct.pack(">I", *struct.unpack("<I", address[at : at + 4])) for at in range(0, len(address), 4)
        )
        return f"  0: {words.hex().upper()}:{port:04X} 00000000:0000 {status} 0".encode()

    tcp = b"\n".join([b"  sl  local_address rem_address st", line(bytes([127, 0, 0, 1]), 8080, "0A"),
                      line(bytes(15) + b"\1", 631, "0A"), line(bytes([10, 0, 2, 15]), 22, "01")])  # fmt: skip
    udp = b"\n".join([line(bytes(4), 68, "07"), line(bytes(4), 40000, "07")])
    assert parsing.ports(tcp, udp) == {"tcp 127.0.0.1:8080", "tcp [::1]:631", "udp 0.0.0.0:68"}


def test_the_evidence_of_a_failure_is_what_changed_with_its_first_lines() -> None:
    diff = "@@ -1 +1,9 @@\n context\n" + "".join(f"+{number}\n" for number in range(9))
    behind = Change(area="file", item="/etc/passwd", before="", after="")
    lines = telling_lines([behind, *[Change(area="file", item="/etc/a", before="", after="", diff=diff)] * 3])
    assert lines[:6] == ("file /etc/a is different", "+0", "+1", "+2", "+3", "+4")


@given(st.binary(max_size=2000))
def test_no_bytes_of_a_guest_break_the_reader(data: bytes) -> None:
    parsing.entries(data)
    parsing.hashes(data)
    parsing.contents(data)
    parsing.units(data)
    parsing.ports(data, data)
    held = {
        DPKG_STATUS: data,
        "/etc/passwd": data,
        "/etc/apt/sources.list": data,
        "/etc/apt/sources.list.d/x.sources": data,
    }
    found = GuestState(dict.fromkeys(held, FILE), held, {})
    differences(NOTHING, found)
    differences(found, NOTHING)


@pytest.mark.parametrize("claimed", [1 << 40, -1])
def test_a_file_of_the_stream_that_lies_about_its_size_takes_no_memory(claimed: int) -> None:
    info = tarfile.TarInfo("/etc/a")
    info.pax_headers = {"size": str(claimed)}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(b""))
    assert parsing.contents(buffer.getvalue()).get("/etc/a", b"") == b""


def test_without_a_list_of_packages_that_the_packages_changed_is_told_all_the_same() -> None:
    before = GuestState({DPKG_STATUS: FILE}, {}, {})
    after = GuestState({DPKG_STATUS: replace(FILE, size=9, stamp="8/2.0")}, {}, {})
    assert only(before, after).item == DPKG_STATUS


def test_a_look_that_was_cut_before_its_end_is_no_look() -> None:
    class Cut:
        def run(self, command: str, **_options: object) -> GuestOutput:
            mark = re.search("[0-9a-f]{32}", command)[0]
            return GuestOutput(
                command, 0, f"\n{mark} entries\nd 755 0:0 1 1/1 /etc\0\0".encode(), b"", truncated=True
            )

    with pytest.raises(PlanError, match="too many files"):
        capture(Cut(), Watched())


def test_units_and_ports_that_the_plan_lets_change_or_the_bus_starts_are_left_out() -> None:
    class Found:
        def run(self, command: str, **_options: object) -> GuestOutput:
            mark = re.search("[0-9a-f]{32}", command)[0]
            said = {
                "entries": "d 755 0:0 1 1/1 /etc\0\0f 644 0:0 1 1/1 /etc/stamp\0\0",
                "units": "sync.service loaded active exited S\nweb.service loaded active running W\n"
                "upower.service loaded active running U",
                "bus": "SystemdService=upower.service",
                "tcp": "0: 00000000:1F90 00000000:0000 0A 0\n1: 00000000:0050 00000000:0000 0A 0",
            }
            text = "".join(f"\n{mark} {name}\n{what}" for name, what in said.items())
            return GuestOutput(command, 0, text.encode(), b"")

    seen = capture(Found(), Watched(ignore=("stamp", "sync.service", "tcp *:8080")))
    assert (list(seen.entries), list(seen.units), seen.ports) == (["/etc"], ["web.service"], {"tcp 0.0.0.0:80"})


@pytest.mark.parametrize("unit", ["apt-cacher-ng", "user-api", "session-store", "run-jobs", "runner"])
def test_a_service_of_the_users_own_is_compared_whatever_it_is_called(unit: str) -> None:
    assert parsing.units(f"{unit}.service loaded active running X\n".encode())


@pytest.mark.parametrize(
    "unit",
    [
        "apt-daily-upgrade",
        "user@1000",
        "run-r12ab34",
        "run-u12",
        "run-p1-i2",
        "systemd-tmpfiles-clean",
        "packagekit",
    ],
)
def test_a_service_that_the_system_starts_by_itself_is_not_compared(unit: str) -> None:
    assert not parsing.units(f"{unit}.service loaded active running X\n".encode())
