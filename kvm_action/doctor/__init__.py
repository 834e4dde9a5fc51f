"""Looks at this host: what is there, what is missing, and the command that mends it.

One file per subject, each a few pure functions from facts to findings. The facts come from outside: this package
does not know how libvirt, the store or the accelerator are asked.
"""

from kvm_action.doctor.examination import Probe, examine
from kvm_action.doctor.finding import Finding, Level, verdict

__all__ = ["Finding", "Level", "Probe", "examine", "verdict"]
