"""Files, folders and links, by testinfra's module."""

from testinfra.host import Host
from testinfra.modules.file import File

from kvm_action.checks.facts import Fact, Verdict, equal, judge
from kvm_action.plan.checks import FileCheck, FileType


def check_file(check: FileCheck, host: Host) -> Verdict:
    """Is it there, with these properties? They are those of what a link leads to."""
    file = host.file(check.path)
    is_link = check.type is FileType.LINK
    exists = file.is_symlink if is_link else file.exists
    if not check.exists and not exists:
        exists = file.is_symlink  # one that leads nowhere is something too
    found = "there" if exists else "missing"
    wanted = "there" if check.exists else "missing"
    complaint = f"there is no {check.type or 'file'} {check.path}" if check.exists else f"{check.path} exists"
    presence = Fact(wanted, found, found == wanted, complaint)
    if not exists or not check.exists:
        return judge([presence])
    return judge([presence, *_properties(check, file), *_content(check, file)])


def _properties(check: FileCheck, file: File) -> list[Fact]:
    facts = []
    if check.type is FileType.FILE or check.type is FileType.DIRECTORY:
        is_it = file.is_file if check.type is FileType.FILE else file.is_directory
        actual = str(check.type) if is_it else f"no {check.type}"
        facts.append(Fact(str(check.type), actual, is_it, f"{check.path} is no {check.type}"))
    if check.mode is not None:
        facts.append(equal(f"the mode of {check.path}", f"{check.mode:04o}", f"{file.mode:04o}"))
    if check.owner is not None:
        facts.append(equal(f"the owner of {check.path}", check.owner, file.user))
    if check.group is not None:
        facts.append(equal(f"the group of {check.path}", check.group, file.group))
    return facts


def _content(check: FileCheck, file: File) -> list[Fact]:
    facts = []
    if check.contains is not None:
        inside = _contains(file, check.contains)
        actual = "contains it" if inside else "does not contain it"
        complaint = f"{check.path} does not contain {check.contains!r}"
        facts.append(Fact(f"contains {check.contains!r}", actual, inside, complaint))
    if check.sha256 is not None:
        facts.append(equal(f"the sha256 of {check.path}", check.sha256, file.sha256sum))
    return facts


def _contains(file: File, text: str) -> bool:
    """Plain text; testinfra's own ``contains`` takes it for a regular expression."""
    if "\n" in text:
        return text.encode() in file.content
    return bool(file.run_test("grep -qF -- %s %s", text, file.path).rc == 0)
