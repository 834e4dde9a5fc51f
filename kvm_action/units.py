"""Sizes and durations as people write and read them. Past this border they are ``int`` and ``timedelta``."""

import re
from datetime import timedelta
from typing import Final

import durationpy

DURATION: Final = r"^([0-9]{1,9}(\.[0-9]{1,6})?[hms])+$"
"""How a duration is written, in a plan and elsewhere: hours, minutes, seconds."""
_SHORTEST: Final = timedelta(seconds=1)
_UNITS = {"": 1, "B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?:(?P<unit>[KMGT])(?:i?B)?|B)?", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Bytes of ``4GiB``, ``512M``, ``1.5 GB`` or ``4096``. Units are powers of 1024, as in QEMU and Docker.

    Raises ValueError when the text is no size.
    """
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"not a size: {text!r}")
    try:
        return int(float(match["number"]) * _UNITS[(match["unit"] or "").upper()])
    except OverflowError as error:
        raise ValueError("larger than any size") from error


def format_size(count: int) -> str:
    """``count`` bytes for a reader: ``580 MiB``, ``1.3 GiB``."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def parse_duration(text: str) -> timedelta:
    """A duration such as ``30m``, ``1h30m``, ``90s`` or ``1.5h``, of a second or more.

    Raises ValueError when the text is none, or is too long for a timedelta.
    """
    if not re.search(DURATION, text.strip()):
        raise ValueError(f"not a duration: {text!r}")
    try:
        found: timedelta = durationpy.from_str(text.strip())
    except (durationpy.DurationError, OverflowError) as error:
        raise ValueError(f"not a duration: {text!r}") from error
    if found < _SHORTEST:
        raise ValueError(f"shorter than a second: {text!r}")
    return found


def format_duration(duration: timedelta) -> str:
    """``duration`` as it would be written in a plan: ``30m``, ``1h30m``."""
    return str(durationpy.to_str(duration))


def format_seconds(seconds: float) -> str:
    """Elapsed time for a reader: ``0.04 s``, ``12.3 s``, ``4 min 05 s``, ``1 h 02 min``."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
