"""Which host is looked at, for whom, and what a run shall use there."""

import os
from dataclasses import dataclass

from kvm_action.doctor import Level
from kvm_action.paths import Home
from kvm_action.plan.model import Accel
from kvm_action.procfs import Host


@dataclass(frozen=True)
class Circumstances:
    """What decides how bad a finding is."""

    host: Host
    home: Home
    accel: Accel

    @property
    def is_root(self) -> bool:
        """Do we run as root?"""
        return os.geteuid() == 0

    @property
    def opens_kvm(self) -> bool:
        """Is /dev/kvm there, and ours to open?"""
        return os.access(self.host.path("/dev/kvm"), os.R_OK | os.W_OK)

    @property
    def without_kvm(self) -> Level:
        """How bad it is when KVM does not work."""
        return Level.PROBLEM if self.accel is Accel.KVM else Level.WARNING
