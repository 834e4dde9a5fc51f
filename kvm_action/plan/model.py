"""The plan (version 1) as frozen values: what to start, what to run in it, what has to hold. No file, no YAML."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, field_serializer, model_validator

from kvm_action.plan.checks import PlannedCheck
from kvm_action.plan.part import Part
from kvm_action.plan.rerun import Rerun, SecondRun
from kvm_action.plan.scalars import (
    GIB,
    Cpus,
    Disk,
    GuestPath,
    HostPath,
    Memory,
    Name,
    RunTime,
    Switch,
    Text,
    UserName,
    VariableName,
    VariableValue,
    rule,
)


class Firmware(StrEnum):
    """What the machine boots with."""

    BIOS = "bios"
    UEFI = "uefi"


class DiskCache(StrEnum):
    """What the host does with what the guest writes, in libvirt's words."""

    UNSAFE = "unsafe"
    WRITEBACK = "writeback"
    WRITETHROUGH = "writethrough"
    NONE = "none"
    DIRECTSYNC = "directsync"


class DiskIo(StrEnum):
    """How QEMU reads and writes, in libvirt's words."""

    THREADS = "threads"
    NATIVE = "native"
    IO_URING = "io_uring"


class Keep(StrEnum):
    """When the machine is left running for a look."""

    NEVER = "never"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"


class SnapshotName(StrEnum):
    """The moments of a run of which a snapshot can be taken."""

    CLEAN_BOOT = "clean-boot"
    PROVISIONED = "provisioned"


class BackendName(StrEnum):
    """What makes the machine."""

    KVM = "kvm"
    DOCKER = "docker"


class Accel(StrEnum):
    """How a machine of the kvm backend runs; an option of a run, not of the plan."""

    AUTO = "auto"
    KVM = "kvm"
    TCG = "tcg"


class StartMode(StrEnum):
    """How a machine is started; an option of a run, not of the plan."""

    AUTO = "auto"
    TEMPLATE = "template"
    RESTORE = "restore"
    BOOT = "boot"


class Machine(Part):
    """The virtual machine."""

    image: Name = Field("debian-13", examples=["debian-13", "debian-12"])
    """The base image in the store."""
    cpus: Cpus = 2
    """Virtual CPUs."""
    memory: Memory = 2 * GIB
    """Memory. The default is kind to small hosts; a desktop wants 4GiB."""
    disk: Disk = 25 * GIB
    """Size of the disk; the host only spends what is written."""
    firmware: Firmware = Firmware.BIOS
    """bios or uefi."""
    network: Name = Field("user", examples=["user", "default"])
    """user (rootless, outgoing only), or the name of a libvirt network."""
    cpu: Name = Field("host-passthrough", examples=["host-passthrough", "host-model", "EPYC"])
    """The CPU model that the guest sees."""
    hugepages: Switch = False
    """Take the memory from the host's reserved huge pages. Such a machine does not share a template's memory."""
    disk_cache: DiskCache = DiskCache.UNSAFE
    """unsafe never waits for the host's disk: right for a machine that is thrown away, and the fastest."""
    disk_io: DiskIo = DiskIo.THREADS
    """native takes disk_cache none or directsync."""

    @model_validator(mode="after")
    def _native_bypasses_the_cache(self) -> Self:
        direct = (DiskCache.NONE, DiskCache.DIRECTSYNC)
        if self.disk_io is DiskIo.NATIVE and self.disk_cache not in direct:
            raise rule(
                "disk_io native goes past the host's page cache, so it needs disk_cache none or directsync;"
                f" disk_cache is {self.disk_cache}"
            )
        return self


def _not_root(name: str) -> str:
    if name == "root":
        raise rule("the user cannot be root: name another one; with sudo: true its scripts can use sudo")
    return name


def _one_line(password: SecretStr) -> SecretStr:
    if set(password.get_secret_value()) & {"\n", "\r", "\0"}:
        raise rule("a password is one line of text")
    return password


class User(Part):
    """The user that the machine is made with, and that runs the script."""

    name: Annotated[UserName, AfterValidator(_not_root)] = Field(
        "testuser", json_schema_extra={"not": {"const": "root"}}
    )
    """The user's name."""
    sudo: Switch = True
    """May it use sudo without a password?"""
    password: Annotated[SecretStr, AfterValidator(_one_line)] | None = None
    """For logins other than SSH (console, RDP); never shown. None unless given."""


class FileCopy(Part):
    """A file or folder that is copied into the guest before the script runs."""

    source: HostPath = Field(alias="from", examples=["."])
    """The file or folder, relative to the plan's folder."""
    to: GuestPath = Field(examples=["/opt/app"])
    """Where it goes: an absolute path in the guest."""
    exclude: tuple[Text, ...] = Field((), examples=[[".git", "*.iso"]])
    """Glob patterns of what stays behind."""


class Provision(Part):
    """The script under test."""

    run: Text = Field(examples=["sudo ./install.sh"])
    """The command, for the user's shell in the guest."""
    workdir: GuestPath | None = Field(None, examples=["/opt/app"])
    """The folder it runs in; the user's home unless given."""
    env: Mapping[VariableName, VariableValue] = Field({}, json_schema_extra={"additionalProperties": False})
    """Environment variables. Their values are secrets, masked in every log and report."""
    timeout: RunTime = timedelta(minutes=30)
    """How long it may take."""
    idempotent: Rerun = Field(None, json_schema_extra={"default": False})
    """Run it a second time, which must change nothing, and report what it changes."""

    @field_serializer("idempotent")
    def _as_written(self, rerun: SecondRun | None) -> object:
        return rerun is not None if rerun in (None, SecondRun()) else rerun


class Benchmark(Part):
    """What `kvm-e2e bench` measures."""

    runs: Annotated[int, Field(ge=1, le=1000, strict=True)] = 5
    """Measured runs on each backend."""
    backends: Annotated[tuple[BackendName, ...], Field(min_length=1)] = (BackendName.KVM, BackendName.DOCKER)
    """The backends to compare."""


class Plan(Part):
    """What kvm-e2e tests: a machine, a script, and what has to hold after it."""

    version: Literal[1] = 1
    """The version of this format."""
    name: Name = ""
    """How reports call the plan; the name of its file or folder unless given."""
    machine: Machine = Machine()
    """The virtual machine."""
    user: User = User()
    """The user that runs the script."""
    files: tuple[FileCopy, ...] = ()
    """What is copied into the guest."""
    provision: Provision
    """The script under test."""
    checks: tuple[PlannedCheck, ...] = ()
    """What has to hold afterwards. All are carried out, even when one fails."""
    snapshots: tuple[SnapshotName, ...] = (SnapshotName.CLEAN_BOOT, SnapshotName.PROVISIONED)
    """The moments to take a snapshot of."""
    keep: Keep = Keep.NEVER
    """When to leave the machine running for a look."""
    artifacts: tuple[GuestPath, ...] = Field((), examples=[["/var/log/app/**"]])
    """Absolute glob patterns of what is copied out of the guest."""
    benchmark: Benchmark = Benchmark()
    """What `kvm-e2e bench` measures."""
