"""What this process may take of its host, and the kernel's words when that is used up, in ours."""

import errno
import re
import resource
from typing import Final

from kvm_action.errors import HostError

DESCRIPTORS: Final = 64
"""A plain run lives on 20, one with many checks at once does not. On fewer, GLib aborts the process under us,
and a clean-up cannot open the folders that it is to remove."""
USUAL: Final = 1024
"""What most hosts give by themselves."""

_MEND: Final = f"raise the limit: `ulimit -n {USUAL}`, LimitNOFILE= of a service, --ulimit nofile of a container"
_LACKS: Final = {
    errno.EMFILE: ("this process may not open any more files", _MEND),
    errno.ENFILE: (
        "this host may not open any more files",
        "raise fs.file-max with sysctl, or stop what leaks them (`sudo lsof | head`)",
    ),
    errno.ENOMEM: (
        "this host gives this process no more memory",
        "free some, or raise the limit (`ulimit -v`) of this process",
    ),
    errno.ENOSPC: ("the host's disk is full", "free some space, or set KVM_E2E_HOME and --out to another disk"),
}

_NO_MEMORY: Final = re.compile(
    r"Cannot allocate memory|failed to map segment|can't start new thread|thread_create: Resource temporar"
)


def require_descriptors() -> None:
    """Take as many descriptors as are usual, where we may. Raises HostError when a run could not live on them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < USUAL:
        soft = USUAL if hard == resource.RLIM_INFINITY else min(hard, USUAL)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft != resource.RLIM_INFINITY and soft < DESCRIPTORS:
        raise HostError(f"this process may open {soft} files at a time, and a run needs {DESCRIPTORS}", _MEND)


def lack_of(error: Exception) -> HostError | None:
    """The error to tell when ``error``, or what caused it, only says that the host has no more of something."""
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, MemoryError):
            return HostError(*_LACKS[errno.ENOMEM])
        if isinstance(cause, OSError) and cause.errno in _LACKS:
            return HostError(*_LACKS[cause.errno])
        if isinstance(cause, RuntimeError | ImportError) and (lack := lack_told_by(str(cause))):
            return lack
        cause = cause.__cause__ or cause.__context__
    return None


def lack_told_by(words: str) -> HostError | None:
    """The same for what a program or a library says."""
    return HostError(*_LACKS[errno.ENOMEM]) if _NO_MEMORY.search(words) else None
