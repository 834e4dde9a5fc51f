"""Admission: how many runs of this host may have a machine at once, whoever starts them.

`tickets` is the queue, `limits` what the host has; `waiting` puts them together.
"""

from kvm_action.admission.limits import Host, Need, measured
from kvm_action.admission.waiting import Admission, admitted

__all__ = ["Admission", "Host", "Need", "admitted", "measured"]
