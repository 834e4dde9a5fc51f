"""What came, went and changed between two states of a guest."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from typing import Final

from kvm_action.guest_state import debian
from kvm_action.guest_state.debian import Contents
from kvm_action.guest_state.model import DPKG_STATUS, Entry, GuestState, is_packaged_unit, may_be_shown
from kvm_action.guest_state.text_diff import Hide, Remark, text_diff
from kvm_action.results import Change

ABSENT: Final = "absent"
MOST_DIFFS: Final = 30
MOST_CHANGES: Final = 1000
_PASSING: Final = ("activating", "deactivating", "reloading")
_IN_FILES: Final[tuple[tuple[str, str, Callable[[Contents], dict[str, str]]], ...]] = (
    ("package", DPKG_STATUS, debian.packages),
    ("user", "/etc/passwd", partial(debian.accounts, path="/etc/passwd")),
    ("group", "/etc/group", partial(debian.accounts, path="/etc/group")),
    ("repository", "/etc/apt/sources.list", debian.repositories),
)
_NAMES: Final = ("/etc/passwd", "/etc/group")
_KINDS: Final = {"f": "file", "l": "link", "d": "folder"}


def differences(before: GuestState, after: GuestState, hide: Hide = str) -> tuple[Change, ...]:
    """By area: the meaningful ones first, then the files behind them, with a small diff where one can be shown.

    ``absent`` stands for what is not there; ``hide`` takes secrets out of every text.
    """
    found = [*_of_system(before, after), *_of_files(before, after)]
    diffs = _Diffs(before, after, hide)
    told = [
        replace(
            change,
            item=hide(change.item),
            before=hide(change.before),
            after=hide(change.after),
            diff=diffs.of(change),
        )
        for change in found[:MOST_CHANGES]
    ]
    more = len(found) - len(told)
    rest = [Change(area="and", item=f"{more:,} more", before="not listed", after="not listed")] if more else []
    return (*told, *rest)


def _of_system(before: GuestState, after: GuestState) -> Iterator[Change]:
    both = (before, after)
    for area, path, read in _IN_FILES:
        if not any(_is_unknown(state, path) for state in both):
            yield from _changes(area, *(read(state.contents) for state in both))
    yield from _changes("service", *_settled(before.units, after.units))
    yield from _changes("port", *(dict.fromkeys(state.ports, "listening") for state in both))


def _is_unknown(state: GuestState, path: str) -> bool:
    """Is there something at or below a path that could not be read?"""
    return any(
        place.startswith(path) and entry.kind == "f" and place not in state.contents
        for place, entry in state.entries.items()
    )


def _changes(area: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    for item in sorted(old.keys() | new.keys()):
        if old.get(item) != new.get(item):
            yield Change(area=area, item=item, before=old.get(item, ABSENT), after=new.get(item, ABSENT))


def _settled(*looks: Mapping[str, str]) -> list[dict[str, str]]:
    """Without units that were on their way from one state to another at one of the looks."""
    passing = {
        unit
        for look in looks
        for unit, state in look.items()
        if state.startswith(_PASSING) and "auto-restart" not in state
    }
    return [{unit: state for unit, state in look.items() if unit not in passing} for look in looks]


def _of_files(before: GuestState, after: GuestState) -> Iterator[Change]:
    paths = before.entries.keys() | after.entries.keys()
    if not any(_is_unknown(state, DPKG_STATUS) for state in (before, after)):
        paths.discard(DPKG_STATUS)  # told package by package
    for path in sorted(paths):
        if change := _Place(path, before, after).change():
            yield change


@dataclass(frozen=True)
class _Place:
    """One path in two states."""

    path: str
    before: GuestState
    after: GuestState

    def change(self) -> Change | None:
        """What became of it, None if nothing."""
        old, new = self.before.entries.get(self.path), self.after.entries.get(self.path)
        if old == new:
            return None
        if old and new and _facts(old) == _facts(new):
            return self._rewritten(old, new)
        remarks = (_described(old, self.before), _described(new, self.after))
        return self._told(new or old, *remarks)

    def _rewritten(self, old: Entry, new: Entry) -> Change | None:
        """The same on the outside: is what it holds the same, too?"""
        if new.kind != "f" or is_packaged_unit(self.path):
            return None
        hashes = _hash(self.before, self.path), _hash(self.after, self.path)
        if hashes[0] and hashes[0] == hashes[1]:
            return None
        unknown = "written again; what it held was too much to keep"
        old_words, new_words = _described(old, self.before), _described(new, self.after)
        return self._told(new, old_words, f"{new_words}, with other content" if all(hashes) else unknown)

    def _told(self, entry: Entry | None, before: str, after: str) -> Change:
        kind = _KINDS.get(entry.kind, "special file") if entry else "file"
        area = "unit file" if is_packaged_unit(self.path) and kind == "file" else kind
        return Change(area=area, item=self.path, before=before, after=after)


def _described(entry: Entry | None, state: GuestState) -> str:
    """What stands there, for a reader."""
    if entry is None:
        return ABSENT
    if entry.kind == "l":
        return f"a link to {entry.target}"
    numbers = entry.owner.split(":")
    names = [
        debian.name_of(number, state.contents.get(path, b"")) for number, path in zip(numbers, _NAMES, strict=True)
    ]
    words = f"{entry.mode:04o} {':'.join(names)}"
    return f"{words}, {entry.size:,} bytes" if entry.kind == "f" else words


@dataclass
class _Diffs:
    """Diffs of files, up to a number of them."""

    before: GuestState
    after: GuestState
    hide: Hide
    made: int = 0

    def of(self, change: Change) -> str:
        """The diff of a change of what a file holds; empty where there is none, or when there were enough."""
        if change.area != "file" or self.made >= MOST_DIFFS:
            return ""
        diff = self._diff(change.item)
        self.made += bool(diff)
        return diff

    def _diff(self, path: str) -> str:
        looks = [(state, state.entries.get(path)) for state in (self.before, self.after)]
        files = [entry for _state, entry in looks if entry and entry.kind == "f"]
        if _hash(self.before, path) == _hash(self.after, path):
            return ""
        if not all(may_be_shown(path, entry) for entry in files):
            return str(Remark.PRIVATE)
        old, new = (_held(path, state, entry) for state, entry in looks)
        return str(Remark.LARGE) if old is None or new is None else text_diff(old, new, self.hide)


def _held(path: str, state: GuestState, entry: Entry | None) -> bytes | None:
    """What a file holds; nothing where there is no file; None when it was too much to keep."""
    return state.contents.get(path) if entry and entry.kind == "f" else b""


def _facts(entry: Entry) -> tuple[object, ...]:
    """What is compared of an entry. A folder's size and stamp only tell that something in it came or went."""
    return (entry.kind, entry.mode, entry.owner, entry.target, entry.size if entry.kind == "f" else 0)


def _hash(state: GuestState, path: str) -> str:
    content = state.contents.get(path)
    return state.hashes.get(path, "") if content is None else sha256(content).hexdigest()
