"""Screenshots of a run, made small enough to stand in a page."""

import base64
import io
from pathlib import Path
from typing import Final

from PIL import Image

from kvm_action.report.view import Picture

MOST_PICTURES: Final = 8
MOST_BYTES: Final = 400_000
"""Of a picture as PNG; what is larger becomes a JPEG."""
_SIZE: Final = (1280, 1280)
_SUFFIXES: Final = frozenset({".png", ".ppm", ".jpg", ".jpeg", ".webp"})


def pictures_in(folder: Path) -> tuple[Picture, ...]:
    """The first eight pictures of ``folder``, by name; a file that is no picture is left out."""
    if not folder.is_dir():
        return ()
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and path.is_file())
    found = (_picture(path) for path in files[:MOST_PICTURES])
    return tuple(picture for picture in found if picture)


def _picture(path: Path) -> Picture | None:
    try:
        with Image.open(path) as image:
            image.thumbnail(_SIZE)
            kind, content = _encoded(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # Pillow's ways to say "damaged"
        return None
    return Picture(name=path.name, source=f"data:image/{kind};base64,{base64.b64encode(content).decode()}")


def _encoded(image: Image.Image) -> tuple[str, bytes]:
    """The image's kind and bytes."""
    png = io.BytesIO()
    image.save(png, "PNG")
    if png.tell() <= MOST_BYTES:
        return "png", png.getvalue()
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=80)
    return "jpeg", jpeg.getvalue()
