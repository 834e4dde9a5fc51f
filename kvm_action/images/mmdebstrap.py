"""mmdebstrap: its command line, and its run with the output condensed to stages."""

import re
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from shlex import quote
from typing import IO, Final

from kvm_action import proc
from kvm_action.errors import E2EError, ImageError
from kvm_action.images.guest_files import SCRIPTS, USER_SCRIPT, Disk
from kvm_action.images.tools import SEARCH_PATH, out_of_space
from kvm_action.text import plain_line
from kvm_action.units import format_duration, format_size
from kvm_action.wait import unless_done_in

_GRACE: Final = timedelta(seconds=20)
"""Time for mmdebstrap to take its temporary folder away: as an ordinary user we could not."""

_STAGES: Final = {
    "running apt-get update": "asking the mirror what there is",
    "downloading packages": "downloading the base packages",
    "extracting archives": "unpacking them",
    "installing essential packages": "installing the base system",
    "installing remaining packages": "downloading and installing kernel, cloud-init, SSH server and the rest",
    "running the script": "running your script in the new system",
    "settling what starts": "settling what starts at boot",
    "writing the disk": "writing file system and boot loader",
}


_NO_PACKAGE: Final = re.compile(
    r"(?:Unable to locate package|Package) '?([a-z0-9][a-z0-9+.-]+)'?(?: has no installation candidate)?$"
)
_NO_RELEASE: Final = re.compile(r" (\S+) Release' does not have a Release file")
_OWN: Final = ("I: ", "W: ", "E: ")
"""How mmdebstrap's own lines begin."""
_SCRIPT_FAILED: Final = "E: the script ended with status "
_TOO_SMALL: Final = "E: the disk is too small: "
_RUN_SCRIPT: Final = f"""
echo "I: running the script..." >&2
rm -f "$1/etc/resolv.conf"
cp --dereference /etc/resolv.conf "$1/etc/resolv.conf"
chroot "$1" env DEBIAN_FRONTEND=noninteractive {USER_SCRIPT} </dev/null >&2 || {{
    echo "{_SCRIPT_FAILED}$?" >&2
    exit 1
}}"""
"""Standard input is the disk: the script must not get hold of it. Names are looked up as on the host."""

_NOTES: Final = '"$1/var/lib/dpkg/updates"'
"""Where dpkg notes, with two fsyncs a package and state, what it would need to go on after a power cut."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One file system to make and to write to a disk."""

    suite: str
    packages: tuple[str, ...]
    sources: tuple[str, ...]
    """Lines of sources.list; empty: mmdebstrap's own default mirror."""
    guest_tar: Path
    script: str = ""
    """The name of the user's script that is in it, if there is one."""
    disk_file: Path
    disk: Disk
    report: Path
    """Folder that receives the list of packages."""
    log: Path


def command_line(job: Job) -> tuple[str, ...]:
    """The command. By setpriv mmdebstrap ends when we are killed, though its temporary folder then stays."""
    inside = f'chroot "$1" sh {SCRIPTS}'
    return (
        *("setpriv", "--pdeathsig", "TERM", "--"),
        *("mmdebstrap", "--variant=apt", "--format=null", "--skip=cleanup"),
        "--dpkgopt=force-unsafe-io",
        f"--include={','.join(job.packages)}",
        f"--essential-hook=mount -t tmpfs -o mode=755 notes {_NOTES}",
        f"--essential-hook=tar-in {quote(str(job.guest_tar))} /",
        *([f"--customize-hook={_RUN_SCRIPT}"] if job.script else ()),
        f"--customize-hook=umount {_NOTES}",
        f"--customize-hook={inside}/customize.sh >&2",
        f"--customize-hook=copy-out {SCRIPTS}/packages {quote(str(job.report))}",
        f"--customize-hook={inside}/pack.sh >&2",
        *(job.suite, "/dev/null"),
        *job.sources,
    )


def run_job(job: Job, progress: Callable[[str], None], allowed: timedelta) -> None:
    """Run mmdebstrap; its whole output goes to ``job.log``.

    Raises ImageError with its last words, also when it takes longer than ``allowed``; HostError when the disk is
    full.
    """
    job.report.mkdir()
    environment = {**job.disk.environment, "PATH": SEARCH_PATH, "LC_ALL": "C.UTF-8"}
    with job.disk_file.open("r+b") as disk, job.log.open("wb") as log:
        process = proc.start(command_line(job), cwd=Path("/"), environment=environment, stdin=disk, stdout=log)
        last: deque[str] = deque(maxlen=60)
        at_limit: list[Sequence[str]] = []

        def stop() -> None:
            at_limit.append(last.copy())
            proc.end(process, _GRACE)

        with process, unless_done_in(allowed.total_seconds(), stop):
            try:
                _follow(process.stderr or [], last, log, progress)
                status = process.wait()
            finally:
                proc.end(process, _GRACE)
    if at_limit:
        raise _too_long(job, allowed, at_limit[0])
    if status != 0:
        raise _failure(job, "\n".join(last))


def stage(line: str) -> str | None:
    """What to tell the user when mmdebstrap prints this line, None for nothing."""
    if not line.startswith("I: "):
        return None
    return next((told for begin, told in _STAGES.items() if line.startswith(f"I: {begin}")), None)


def _follow(lines: Iterable[bytes], last: deque[str], log: IO[bytes], progress: Callable[[str], None]) -> None:
    """Read to the end; ``last`` holds the end of it."""
    for raw in lines:
        log.write(raw)
        log.flush()
        last.append(raw.decode(errors="replace").rstrip())
        if told := stage(last[-1]):
            progress(told)


def _too_long(job: Job, allowed: timedelta, lines: Sequence[str]) -> ImageError:
    at = next((told for line in reversed(lines) if (told := stage(line))), "starting")
    said = next((plain_line(line) for line in reversed(lines) if line.strip() and line[:3] not in _OWN), "nothing")
    return ImageError(
        f"the image was not made within {format_duration(allowed)}; it was {at}, and the last word was: {said}",
        hint=f"{_output(job)}; is the mirror slow, or does your script wait for something?",
    )


def _failure(job: Job, text: str) -> E2EError:
    if full := out_of_space(text, Path(tempfile.gettempdir())):
        return full
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if line.startswith(_SCRIPT_FAILED):
            said = next((plain_line(each) for each in reversed(lines[:number]) if each.strip()), "nothing")
            status = line.removeprefix(_SCRIPT_FAILED)
            return ImageError(f"{job.script} failed with status {status}: {said}", hint=_output(job))
        if line.startswith(_TOO_SMALL):
            needs = plain_line(line.removeprefix(_TOO_SMALL))
            size = format_size(job.disk.bytes)
            return ImageError(f"a disk of {size} is too small: {needs}", hint="give it more: --size 8GiB")
    errors = [line.removeprefix("E: ") for line in lines if line.startswith("E: ")]
    return _archive_trouble(job, errors[0] if errors else "it ended without an error message")


def _archive_trouble(job: Job, said: str) -> ImageError:
    said = plain_line(said)
    if "does not have a Release file" in said:
        found = _NO_RELEASE.search(said)  # of the suite itself, or of its updates
        suite = found[1] if found else job.suite
        return ImageError(f"the mirror does not have {suite}: {said}", hint="name another one: --mirror URL")
    if found := _NO_PACKAGE.search(said):
        return ImageError(
            f"{job.suite} has no package {found[1]}", hint="look for its name at packages.debian.org"
        )
    if said.startswith(("Failed to fetch", "Unable to fetch")):
        return ImageError(f"the mirror does not answer any more: {said}", hint=f"try it again; {_output(job)}")
    return ImageError(
        f"mmdebstrap could not make {job.suite}: {said}",
        hint=f"{_output(job)}; is the mirror of this host's apt reachable (`apt-get update`)?",
    )


def _output(job: Job) -> str:
    return f"the whole output is in {job.log}"
