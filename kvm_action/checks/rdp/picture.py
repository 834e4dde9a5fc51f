"""Pictures of a screen: read from Xvfb's frame buffer, and judged: is anything to be seen on it? Pure."""

import struct
from dataclasses import dataclass
from functools import reduce
from typing import Final

from PIL import Image, ImageChops

_HEADER: Final = struct.Struct(">25I")
_VERSION: Final = 7
_COLOUR_ENTRY: Final = 12
_STEP: Final = 8
"""Pixels that a picture is moved to be compared with itself: what repeats within them is a flat colour, or the dot
pattern of an X server on which nobody has drawn."""
_BLANK_BELOW: Final = 0.005
"""A pointer of 48 by 48 pixels changes less of the screen than this; a small window changes more."""
_ALIKE: Final = 0.95


class NoPictureError(Exception):
    """The bytes are no picture of a screen."""


@dataclass(frozen=True)
class Content:
    """How much there is to be seen: colours, and the share of pixels that differ from their surroundings."""

    width: int
    height: int
    colours: int
    uneven: float

    @property
    def is_blank(self) -> bool:
        """Is it one flat colour or pattern, but for a pointer?"""
        return self.uneven < _BLANK_BELOW

    def __str__(self) -> str:
        """For a report."""
        colours = "1 colour" if self.colours == 1 else f"{self.colours} colours"
        return f"{self.width} x {self.height}, {colours}, {self.uneven:.1%} of it uneven"


def read_xwd(data: bytes) -> Image.Image:
    """The picture in a window dump as Xvfb keeps it: 24 bits in 32, lowest byte first. Raises NoPictureError."""
    if len(data) < _HEADER.size:
        raise NoPictureError("it is too short")
    header = _HEADER.unpack_from(data)
    size, version, depth, width, height, order = (header[at] for at in (0, 1, 3, 4, 5, 7))
    bits, line, colours = header[11], header[12], header[19]
    if (version, depth, order, bits) != (_VERSION, 24, 0, 32) or line < width * 4 or not width * height:
        raise NoPictureError("it is not a dump of a screen with 24 bits")
    pixels = data[size + colours * _COLOUR_ENTRY :]
    if len(pixels) < line * height:
        raise NoPictureError("its end is missing")
    return Image.frombytes("RGB", (width, height), pixels, "raw", "BGRX", line)


def content_of(picture: Image.Image) -> Content:
    """Look at all of it."""
    moved = (ImageChops.offset(picture, _STEP, 0), ImageChops.offset(picture, 0, _STEP))
    uneven = reduce(ImageChops.lighter, (_difference(picture, other) for other in moved))
    colours = picture.getcolors(picture.width * picture.height) or []
    return Content(picture.width, picture.height, len(colours), 1 - _share_of_black(uneven))


def are_alike(one: Image.Image, other: Image.Image) -> bool:
    """Do they show the same, but for a clock or a pointer?"""
    return one.size == other.size and _share_of_black(_difference(one, other)) > _ALIKE


def share_left(before: Image.Image, now: Image.Image) -> float:
    """How much of what stood on the ground of ``before`` still stands at its place, from 0 to 1."""
    if before.size != now.size:
        return 0
    ground = Image.new("RGB", before.size, _commonest(before))
    stood = _difference(before, ground).point(_white_if_not_black)
    left = ImageChops.darker(stood, _difference(before, now).point(_white_if_black))
    return _white(left) / max(1, _white(stood))


def _commonest(picture: Image.Image) -> tuple[int, int, int]:
    colours = picture.getcolors(picture.width * picture.height) or []
    found: tuple[int, int, int] = max(colours)[1]  # type: ignore[assignment]  # of an RGB picture
    return found


def _white(picture: Image.Image) -> int:
    return picture.histogram()[255]


def _white_if_black(value: int) -> int:
    return 0 if value else 255


def _white_if_not_black(value: int) -> int:
    return 255 if value else 0


def _difference(one: Image.Image, other: Image.Image) -> Image.Image:
    """Black where both are the same."""
    return reduce(ImageChops.lighter, ImageChops.difference(one, other).split())


def _share_of_black(picture: Image.Image) -> float:
    return picture.histogram()[0] / (picture.width * picture.height)
