"""Admission: how many runs of this host may have a machine at once, whoever starts them.

`tickets` is the queue, `limits` what the host has, `waiting` puts them together. `huge_pages` have no queue.
"""

from kvm_action.admission.huge_pages import require_huge_pages
from kvm_action.admission.limits import Host, Need, measured
from kvm_action.admission.waiting import Admission, admitted

__all__ = ["Admission", "Host", "Need", "admitted", "measured", "require_huge_pages"]
