"""What a second run of a script changed."""

from kvm_action.guest_state import GuestState, differences, parse
from kvm_action.lifecycle.idempotence import tell

PRINTED = """=== package
curl:amd64\t7.88 ii
=== file
/etc/a\t111
/etc/b with\ttab\t222
"""


def test_what_the_guest_prints_is_read_by_area_and_item() -> None:
    assert parse(PRINTED).areas == {
        "package": {"curl:amd64": "7.88 ii"},
        "file": {"/etc/a": "111", "/etc/b with": "tab\t222"},
    }


def test_what_came_went_and_changed_is_told() -> None:
    before = GuestState({"file": {"/etc/a": "1", "/etc/b": "1"}})
    after = GuestState({"file": {"/etc/b": "2", "/etc/c": "1"}, "user": {"x": "1"}})
    assert [tell(change) for change in differences(before, after)] == [
        "file /etc/a was removed",
        "file /etc/b is different",
        "file /etc/c was added",
        "user x was added",
    ]


def test_nothing_changed_is_no_change() -> None:
    assert differences(parse(PRINTED), parse(PRINTED)) == ()
