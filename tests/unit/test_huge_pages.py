"""Huge pages are only used where enough are free, and a refusal says how many and what to type."""

import pytest

from kvm_action.admission import require_huge_pages
from kvm_action.errors import HostError
from kvm_action.procfs import HugePages

GIB = 1 << 30
SIZE = 2 << 20


def test_enough_free_pages_are_enough() -> None:
    require_huge_pages(2 * GIB, HugePages(SIZE, total=1024, free=1024))


@pytest.mark.parametrize(
    ("memory", "pages", "said", "hint"),
    [
        (2 * GIB, HugePages(SIZE, 0, 0), "2.0 GiB in huge pages, 1024 of 2.0 MiB; of 0", "vm.nr_hugepages=1024,"),
        (2 * GIB, HugePages(SIZE, 1500, 500), "of 1500 that this host has reserved, 500 are free", "=2024,"),
        (2 * GIB, HugePages(0, 0, 0), "kernel has none", "leave machine.hugepages out"),
        (2 * GIB, HugePages(GIB + 1, 9, 9), "not a multiple of this host's huge pages", "a multiple of"),
    ],
)
def test_a_refusal_has_numbers_and_the_command(memory: int, pages: HugePages, said: str, hint: str) -> None:
    with pytest.raises(HostError) as raised:
        require_huge_pages(memory, pages)
    assert said in raised.value.message
    assert hint in raised.value.hint
