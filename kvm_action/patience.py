"""How long a guest may take. `KVM_E2E_PATIENCE` stretches it, on hosts that are slow themselves (nested KVM)."""

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from kvm_action.errors import HostError

VARIABLE: Final = "KVM_E2E_PATIENCE"


def stretched(usual: timedelta, environ: Mapping[str, str] = os.environ) -> timedelta:
    """``usual``, times the factor in the environment. Raises HostError when that is no number from 1 to 100."""
    text = environ.get(VARIABLE) or "1"
    try:
        factor = float(text)
    except ValueError:
        factor = 0
    if not 1 <= factor <= 100:
        raise HostError(
            f"{VARIABLE} is {text!r}", "it must be a number from 1 to 100: 3 waits three times as long"
        )
    return usual * factor
