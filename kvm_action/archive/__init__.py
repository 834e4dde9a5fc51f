"""Tar streams: what goes into one, and how one is taken apart safely. Knows nothing of guests or connections."""

from kvm_action.archive.bounded import DAMAGED, Readable, TooMuchError, open_bounded
from kvm_action.archive.extraction import Limits, extract
from kvm_action.archive.find import find_command
from kvm_action.archive.packing import Packed, packing
from kvm_action.archive.selection import Selection, select
from kvm_action.archive.unpack import unpack_command

__all__ = [
    "DAMAGED",
    "Limits",
    "Packed",
    "Readable",
    "Selection",
    "TooMuchError",
    "extract",
    "find_command",
    "open_bounded",
    "packing",
    "select",
    "unpack_command",
]
