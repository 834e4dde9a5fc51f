"""What a run of the kvm backend needs beside its plan."""

from dataclasses import dataclass
from pathlib import Path

from kvm_action.images.store import Store
from kvm_action.plan.model import Accel, Keep, StartMode


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run needs beside its plan.

    ``image`` is a name in the store or a file; ``runs``: where run folders are made; ``out``: for evidence.
    """

    run: str
    image: str
    accel: Accel
    keep: Keep
    store: Store
    runs: Path
    templates: Path
    start: StartMode = StartMode.AUTO
    out: Path
    uri: str | None = None
