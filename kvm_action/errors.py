"""Every error a user can meet: a message (what happened, to what), a hint (what to do), an exit code.

The exit code says whose fault it is: 1 the thing under test, 2 the plan or the usage, 3 the host or the
infrastructure, 4 ourselves, 130/143 interrupted. Anything that is not one of these classes is a bug of ours.
"""

from enum import IntEnum, StrEnum


class ExitCode(IntEnum):
    """What the process returns; the only place where the numbers stand."""

    PASSED = 0
    TEST_FAILED = 1
    USAGE = 2
    INFRASTRUCTURE = 3
    BUG = 4
    SIGINT = 130
    SIGTERM = 143


class FailureClass(StrEnum):
    """What kind of thing failed; ``exit_code`` follows from it."""

    PROVISION = "provision"
    CHECK = "check"
    IDEMPOTENCE = "idempotence"
    PLAN = "plan"
    HOST = "host"
    IMAGE = "image"
    BOOT = "boot"
    NETWORK = "network"
    CONNECTION = "connection"
    INTERRUPTED = "interrupted"
    BUG = "bug"

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of a run that failed in this way (an interruption may refine it to 143)."""
        match self:
            case FailureClass.PROVISION | FailureClass.CHECK | FailureClass.IDEMPOTENCE:
                return ExitCode.TEST_FAILED
            case FailureClass.PLAN:
                return ExitCode.USAGE
            case FailureClass.INTERRUPTED:
                return ExitCode.SIGINT
            case FailureClass.BUG:
                return ExitCode.BUG
            case _:
                return ExitCode.INFRASTRUCTURE


class E2EError(Exception):
    """An expected failure. Shown as ``message`` and ``hint``, never with a traceback."""

    failure_class = FailureClass.BUG

    def __init__(self, message: str, hint: str = "") -> None:
        """``message`` is one sentence for the user; ``hint`` the next thing to do, if we know it."""
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def exit_code(self) -> ExitCode:
        """What the process should return when this error ends it."""
        return self.failure_class.exit_code


class PlanError(E2EError):
    """The plan, or the way the command was called, is wrong."""

    failure_class = FailureClass.PLAN


class HostError(E2EError):
    """The host lacks something: a package, a permission, memory, disk, a daemon."""

    failure_class = FailureClass.HOST


class DiskFullError(HostError):
    """The host has no space left."""


class ImageError(E2EError):
    """A base image is missing, damaged, not what it claims to be, or could not be built."""

    failure_class = FailureClass.IMAGE


class BootError(E2EError):
    """The machine was started and did not come up."""

    failure_class = FailureClass.BOOT


class NetworkError(E2EError):
    """The machine runs and cannot be reached."""

    failure_class = FailureClass.NETWORK


class GuestConnectionError(E2EError):
    """The session with the guest could not be opened, or broke."""

    failure_class = FailureClass.CONNECTION


class PortClosedError(E2EError):
    """The guest is there, and a port of it takes no connection."""

    failure_class = FailureClass.CONNECTION


class NoWayToPortError(E2EError):
    """The guest is there, and does not let us try one of its ports."""

    failure_class = FailureClass.CONNECTION


class CommandTimeoutError(E2EError):
    """A command ran longer than it was allowed to; the caller decides whose fault that is."""

    failure_class = FailureClass.CONNECTION


class ProvisionError(E2EError):
    """The script under test failed, hung, or took the machine away."""

    failure_class = FailureClass.PROVISION


class CheckError(E2EError):
    """What the script left behind does not hold, or cannot be looked at."""

    failure_class = FailureClass.CHECK


class RunEndedError(E2EError):
    """The run is to end now, whatever it is doing: who handles the failures of a part lets this one pass."""


class RunLimitError(RunEndedError):
    """The run as a whole took too long."""

    failure_class = FailureClass.CONNECTION


class InterruptedRunError(RunEndedError):
    """A signal ended the run."""

    failure_class = FailureClass.INTERRUPTED

    def __init__(self, message: str, exit_code: ExitCode = ExitCode.SIGINT) -> None:
        """``exit_code`` is SIGINT or SIGTERM."""
        super().__init__(message)
        self._exit_code = exit_code

    @property
    def exit_code(self) -> ExitCode:
        """130 after SIGINT, 143 after SIGTERM."""
        return self._exit_code
