"""Looking at a guest, as root: once in full, and again for what another look finds changed."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from pathspec import GitIgnoreSpec

from kvm_action.errors import CheckError, PlanError
from kvm_action.guest import Guest
from kvm_action.guest_state import bus, parsing
from kvm_action.guest_state.model import Entry, GuestState, is_packaged_unit, may_be_kept
from kvm_action.guest_state.script import HASH, TAR, first_look, second_look

TIME: Final = timedelta(minutes=10)
MOST: Final = 24 << 20
"""Bytes that a look may print; contents come last, and are cut."""
_ALWAYS_CHANGING: Final = (
    "/etc/**/*.lock",
    "/etc/**/*-",
    "/etc/mtab",
    "/etc/ld.so.cache",
    "/etc/adjtime",
    "/etc/cups/subscriptions.conf*",
    "/etc/lvm/archive/",
    "/etc/lvm/backup/",
)


@dataclass(frozen=True)
class Watched:
    """What is looked at beside /etc, and which paths, units and ports may change (patterns as in a .gitignore)."""

    paths: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


def capture(guest: Guest, watched: Watched) -> GuestState:
    """Look at the guest by one command. Raises PlanError for too many files, CheckError when it cannot be read."""
    mark = secrets.token_hex(16)
    found = _look(guest, first_look(mark, watched.paths), mark)
    state = _state(found, watched)
    contents, hashes = parsing.contents(found.get("contents", b"")), parsing.hashes(found.get("hashes", b""))
    return replace(
        state,
        contents={path: content for path, content in contents.items() if path in state.entries},
        hashes={path: hashed for path, hashed in hashes.items() if path in state.entries},
    )


def capture_again(guest: Guest, watched: Watched, before: GuestState) -> GuestState:
    """Look once more. Files that nobody touched since ``before`` are not read again."""
    mark = secrets.token_hex(16)
    state = _state(_look(guest, second_look(mark, watched.paths), mark), watched)
    same = {path for path, entry in state.entries.items() if before.entries.get(path) == entry}
    touched = {path: e for path, e in state.entries.items() if e.kind == "f" and path not in same}
    wanted = [path for path in sorted(touched) if not is_packaged_unit(path)]
    kept = [path for path in wanted if may_be_kept(path, touched[path])]
    contents = parsing.contents(_read(guest, TAR, kept))  # for the differences that are shown; it may be cut
    hashed = parsing.hashes(_read(guest, HASH, [path for path in wanted if path not in contents]))
    return replace(
        state,
        contents={path: before.contents[path] for path in same & before.contents.keys()} | contents,
        hashes={path: before.hashes[path] for path in same & before.hashes.keys()} | hashed,
    )


def _look(guest: Guest, script: str, mark: str) -> dict[str, bytes]:
    answer = guest.run(script, timeout=TIME, sudo=True, keep_bytes=MOST)
    found = parsing.sections(answer.stdout, mark)
    if answer.truncated and "contents" not in found:  # it comes last, and only it may be cut
        raise PlanError(
            "there are too many files to compare", "name fewer of them in `paths` of provision.idempotent"
        )
    return found


def _read(guest: Guest, command: str, paths: Sequence[str]) -> bytes:
    if not paths:
        return b""
    names = "".join(f"{path}\0" for path in paths).encode(errors="surrogateescape")
    return guest.run(f"{command} 2>/dev/null", timeout=TIME, sudo=True, stdin=names, keep_bytes=MOST).stdout


def _state(found: Mapping[str, bytes], watched: Watched) -> GuestState:
    """Without what the files hold."""
    entries = _watched(parsing.entries(found.get("entries", b"")), watched.ignore)
    if "/etc" not in entries:
        raise CheckError("the guest's state cannot be read", "the user needs sudo for `provision.idempotent`")
    may_change = GitIgnoreSpec.from_lines(watched.ignore)
    by_bus = bus.started_by_bus(found.get("bus", b""), entries)
    units = parsing.units(found.get("units", b""))
    ports = parsing.ports(found.get("tcp", b""), found.get("udp", b""))
    return GuestState(
        entries,
        contents={},
        hashes={},
        units={
            name: state
            for name, state in units.items()
            if (name not in by_bus or state.startswith("failed")) and not may_change.match_file(name)
        },
        ports=frozenset(port for port in ports if not may_change.match_file(port)),
    )


def _watched(entries: Mapping[str, Entry], ignore: Sequence[str]) -> dict[str, Entry]:
    spec = GitIgnoreSpec.from_lines([*_ALWAYS_CHANGING, *ignore])
    names = {path: f"{path}/" if entry.kind == "d" else path for path, entry in entries.items()}
    return {path: entry for path, entry in entries.items() if not spec.match_file(names[path].lstrip("/"))}
