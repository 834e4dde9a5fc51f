"""A host that has no more of something: said so with what mends it, and never taken for a bug of ours."""

import errno
import os
import resource

import pytest

from kvm_action.errors import ExitCode, HostError
from kvm_action.shortage import DESCRIPTORS, lack_of, require_descriptors


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The process's limits; the last one counts."""
    limits = [(64, 4096)]
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _kind, wanted: limits.append(wanted))
    return limits


def test_a_low_limit_is_raised_as_far_as_the_process_may(limits: list[tuple[int, int]]) -> None:
    require_descriptors()
    assert limits[-1] == (1024, 4096)


def test_a_limit_on_which_no_run_can_live_is_refused_with_both_numbers(limits: list[tuple[int, int]]) -> None:
    limits.append((20, 40))
    with pytest.raises(HostError, match=f"may open 40 files at a time, and a run needs {DESCRIPTORS}") as raised:
        require_descriptors()
    assert "ulimit -n 1024" in raised.value.hint


def test_a_host_without_any_limit_is_left_alone(limits: list[tuple[int, int]]) -> None:
    limits.append((resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    require_descriptors()
    assert len(limits) == 2


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), "may not open any more files"),
        (OSError(errno.ENFILE, os.strerror(errno.ENFILE)), "this host may not open"),
        (MemoryError(), "no more memory"),
        (RuntimeError("can't start new thread"), "no more memory"),
        (ImportError("libxml2.so.2: failed to map segment from shared object"), "no more memory"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "disk is full"),
    ],
)
def test_a_lack_is_told_also_when_a_library_has_wrapped_it(error: Exception, words: str) -> None:
    wrapped = ValueError("something went wrong")
    wrapped.__cause__ = error
    for each in (error, wrapped):
        lack = lack_of(each)
        assert lack
        assert words in lack.message
        assert lack.hint
        assert lack.exit_code is ExitCode.INFRASTRUCTURE


@pytest.mark.parametrize("error", [ValueError("x"), FileNotFoundError(errno.ENOENT, "no such file")])
def test_anything_else_stays_what_it_is(error: Exception) -> None:
    assert lack_of(error) is None
