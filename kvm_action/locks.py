"""Being the only process that does something, by a lock file of which the kernel lets go when its holder dies."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from kvm_action.errors import HostError


@contextmanager
def held(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock file ``path``, which is made; ``on_wait`` is called once when another process has it now.

    Raises HostError when this user may not.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, mode=0o666)  # whoever may write the folder takes turns, also with root
    try:
        lock.acquire(timeout=0)
    except Timeout:
        on_wait()
        lock.acquire()
    except PermissionError as error:
        raise HostError(f"the lock {path} belongs to another user", f"sudo rm {path}") from error
    try:
        yield
    finally:
        lock.release()
