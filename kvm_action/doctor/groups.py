"""The groups of libvirt and KVM: is this user a member, and did the session already notice?"""

import grp
import os
import pwd
from dataclasses import dataclass

from kvm_action.doctor.finding import Finding, Level, ok
from kvm_action.doctor.kvm import join_group


@dataclass(frozen=True)
class Membership:
    """A user and a group. ``effective``: this process has it; ``configured``: the next login will."""

    group: str
    user: str
    exists: bool
    effective: bool
    configured: bool


def membership(group: str) -> Membership:
    """Of the user that runs us."""
    user = user_name()
    try:
        entry = grp.getgrnam(group)
    except KeyError:
        return Membership(group, user, exists=False, effective=False, configured=False)
    effective = entry.gr_gid in {os.getegid(), *os.getgroups()}
    return Membership(group, user, exists=True, effective=effective, configured=user in entry.gr_mem)


def user_name() -> str:
    """The user that runs us; the number of one that the system does not know."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def finding(member: Membership, *, needed: bool, purpose: str) -> Finding:
    """Judge a membership; ``needed`` is False where the purpose is reached without it."""
    subject = f"group {member.group}"
    if member.effective:
        return ok(subject, f"{member.user} is a member")
    if member.configured:
        mend = f"newgrp {member.group}\n# or log out and in again; a runner: restart its service"
        seen = f"{member.user} is a member, but this session began before that"
        return Finding(subject=subject, level=Level.WARNING if needed else Level.OK, seen=seen, mend=mend)
    seen = f"{member.user} is not a member" if member.exists else "does not exist: libvirt's package makes it"
    if not needed:
        return ok(subject, f"{seen}; not needed {purpose}")
    return Finding(subject=subject, level=Level.WARNING, seen=seen, mend=join_group(member.group))
