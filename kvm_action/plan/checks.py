"""The checks that a plan can ask for, as values. They know no guest: carrying them out is `kvm_action.checks`."""

from datetime import timedelta
from enum import StrEnum
from ipaddress import ip_address
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetPydanticSchema,
    ValidatorFunctionWrapHandler,
    with_config,
)
from pydantic_core import CoreSchema, core_schema
from typing_extensions import TypedDict

from kvm_action.plan.base_check import BaseCheck, CheckKind
from kvm_action.plan.rdp_check import RdpCheck
from kvm_action.plan.scalars import (
    CheckTime,
    FileMode,
    GuestPath,
    HostPath,
    PortNumber,
    Switch,
    Text,
    UserName,
    rule,
    shaped,
)


class Protocol(StrEnum):
    """Of a port."""

    TCP = "tcp"
    UDP = "udp"


class FileType(StrEnum):
    """What may stand at a path."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"


class UserCheck(BaseCheck):
    """A user exists (or not), with these groups, shell and home."""

    kind = CheckKind.USER
    short = "name"
    absence = "exists"

    name: UserName
    """The user's name."""
    groups: tuple[UserName, ...] = ()
    """Groups that the user has to be in; others do no harm."""
    shell: GuestPath | None = None
    """The login shell."""
    home: GuestPath | None = None
    """The home folder."""
    exists: Switch = True
    """false: there must be no such user."""

    def _sentence(self) -> str:
        return f"user {self.name}" if self.exists else f"no user {self.name}"


class PackageCheck(BaseCheck):
    """A package of the distribution is installed (or not)."""

    kind = CheckKind.PACKAGE
    short = "name"
    absence = "installed"

    name: Text = Field(examples=["xfce4"])
    """The package's name."""
    version: Text | None = None
    """The installed version, exactly as the package manager writes it."""
    installed: Switch = True
    """false: it must not be installed."""

    def _sentence(self) -> str:
        version = f" {self.version}" if self.version else ""
        return f"package {self.name}{version}" if self.installed else f"no package {self.name}"


class ServiceCheck(BaseCheck):
    """A systemd unit runs and is enabled."""

    kind = CheckKind.SERVICE
    short = "name"

    name: Text = Field(examples=["xrdp", "hello.service"])
    """The unit's name."""
    running: Switch = True
    """Is it active?"""
    enabled: Switch | None = None
    """Does it start at boot? Not looked at unless given."""

    def _sentence(self) -> str:
        enabled = {True: ", enabled", False: ", not enabled", None: ""}[self.enabled]
        return f"service {self.name} {'runs' if self.running else 'is stopped'}{enabled}"


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError as error:
        raise rule(f"expected an IP address such as 127.0.0.1, found {text}") from error


class PortCheck(BaseCheck):
    """Something listens on a port of the guest (or nothing does)."""

    kind = CheckKind.PORT
    short = "port"

    port: PortNumber
    """The port's number."""
    protocol: Protocol = Protocol.TCP
    """tcp or udp."""
    address: Annotated[str, AfterValidator(_address)] | None = Field(None, examples=["127.0.0.1"])
    """The address it listens on; any, unless given."""
    listening: Switch = True
    """false: nothing may listen there."""

    def _sentence(self) -> str:
        where = f"{self.address} " if self.address else ""
        udp = "/udp" if self.protocol is Protocol.UDP else ""
        return f"{where}port {self.port}{udp} {'listens' if self.listening else 'is closed'}"


class FileCheck(BaseCheck):
    """A file, folder or link of the guest is there (or not), with these properties."""

    kind = CheckKind.FILE
    short = "path"
    absence = "exists"

    path: GuestPath = Field(examples=["/etc/hello.conf"])
    """Its absolute path in the guest."""
    exists: Switch = True
    """false: nothing may be there."""
    type: FileType | None = None
    """file, directory or link."""
    mode: FileMode | None = None
    """Permission bits, octal and in quotes."""
    owner: UserName | None = None
    """The user who owns it."""
    group: UserName | None = None
    """The group that owns it."""
    contains: Text | None = None
    """Text that has to be in it."""
    sha256: Annotated[str, shaped(r"^[0-9a-f]{64}$", "64 hexadecimal digits")] | None = None
    """The checksum of its content."""

    def _sentence(self) -> str:
        return f"{self.type or 'file'} {self.path}" if self.exists else f"nothing at {self.path}"


class CommandCheck(BaseCheck):
    """A shell command exits and prints as expected."""

    kind = CheckKind.COMMAND
    short = "run"

    run: Text = Field(examples=["id developer"])
    """The command, for the user's shell in the guest."""
    exit: Annotated[int, Field(ge=0, le=255, strict=True)] = 0
    """The exit status."""
    stdout: str | None = None
    """Text that has to be in its output."""
    stderr: str | None = None
    """Text that has to be in its error output."""
    sudo: Switch = False
    """Run it as root."""

    def _sentence(self) -> str:
        line = self.run.strip().splitlines()[0]
        return f"command {line if len(line) <= 60 else line[:59] + '…'}"


class HttpCheck(BaseCheck):
    """A web server answers, asked from inside the guest."""

    kind = CheckKind.HTTP
    short = "url"

    url: Annotated[
        str,
        shaped(r"^https?://[^\s\x00]+$", "an address such as http://127.0.0.1:8080/", "http://127.0.0.1:8080/"),
    ]
    """The address, as the guest sees it."""
    status: Annotated[int, Field(ge=100, le=599, strict=True)] = 200
    """The HTTP status of the answer."""
    contains: Text | None = None
    """Text that has to be in the answer."""

    def _sentence(self) -> str:
        return f"{self.url} answers {self.status}"


class TestinfraCheck(BaseCheck):
    """A pytest-testinfra file of your own passes against the guest."""

    __test__ = False  # no test class, whatever pytest makes of the name
    kind = CheckKind.TESTINFRA
    short = "path"

    path: HostPath = Field(examples=["tests/test_vps.py"])
    """The file, relative to the plan."""
    args: tuple[Text, ...] = ()
    """Further arguments for pytest."""
    timeout: CheckTime = timedelta(minutes=10)
    """How long all its tests together may take."""

    def _sentence(self) -> str:
        return f"testinfra {self.path}"


class DesktopCheck(BaseCheck):
    """A desktop session can start: its files and programs are there, and xrdp or a display manager leads to it.

    Where a session of the user is open (an `rdp` check with credentials leaves one), its processes have to live.
    """

    kind = CheckKind.DESKTOP
    short = "session"

    session: Text = Field(examples=["xfce"])
    """The session's name, as in /usr/share/xsessions."""
    user: UserName | None = None
    """Who starts it; the plan's user, unless given."""
    processes: tuple[Text, ...] = Field((), examples=[["xfce4-session", "xfwm4"]])
    """What has to run in a session that is open. Known for xfce; for others nothing is asked unless given."""
    timeout: CheckTime = timedelta(minutes=2)
    """How long the check may take; it waits for RDP logins of the same plan before."""

    def _sentence(self) -> str:
        return f"desktop {self.session} can start{f' for {self.user}' if self.user else ''}"


class IdeCheck(BaseCheck):
    """A graphical program is there for its user: found in a login's PATH, it tells its version, a menu has it."""

    kind = CheckKind.IDE
    short = "command"

    command: Text = Field(examples=["geany"])
    """The command that starts it."""
    user: UserName | None = None
    """Whose login has to find it; the plan's user, unless given."""
    version: Text | None = None
    """Text that has to be in what `COMMAND --version` prints; that it prints something is always asked."""
    entry: Text | None = Field(None, examples=["code.desktop"])
    """Its entry in the desktop's menus; found by its command, unless given."""

    def _sentence(self) -> str:
        return f"IDE {self.command}{f' for {self.user}' if self.user else ''}"


Check = (
    UserCheck
    | PackageCheck
    | ServiceCheck
    | PortCheck
    | FileCheck
    | CommandCheck
    | HttpCheck
    | TestinfraCheck
    | RdpCheck
    | DesktopCheck
    | IdeCheck
)


@with_config(ConfigDict(extra="forbid", use_attribute_docstrings=True))
class CheckEntry(TypedDict, total=False):
    """One check: its kind, and below it what has to hold."""

    user: UserCheck
    package: PackageCheck
    service: ServiceCheck
    port: PortCheck
    file: FileCheck
    command: CommandCheck
    http: HttpCheck
    testinfra: TestinfraCheck
    rdp: RdpCheck
    desktop: DesktopCheck
    ide: IdeCheck


def _unwrap(value: object, parse: ValidatorFunctionWrapHandler) -> object:
    """The one check of an entry; a check that Python code passes in is itself."""
    if isinstance(value, BaseCheck):
        return value
    entry: dict[str, Check] = parse(value)
    if len(entry) != 1:
        found = " and ".join(entry) or "none"
        raise rule(f"expected one check in each item of the list, found {found}; begin each with a dash")
    return next(iter(entry.values()))


def _wrap(check: BaseCheck) -> dict[str, Any]:
    return {check.kind: check.model_dump(mode="json", by_alias=True)}


def _entry_schema(_source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
    return core_schema.no_info_wrap_validator_function(
        _unwrap,
        handler(CheckEntry),
        serialization=core_schema.plain_serializer_function_ser_schema(_wrap),
    )


PlannedCheck = Annotated[Check, GetPydanticSchema(_entry_schema)]
"""A check as it stands in the list of a plan: ``{package: xfce4}``."""
