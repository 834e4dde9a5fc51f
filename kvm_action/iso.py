"""ISO 9660 volumes, written and read by pycdlib. Knows nothing of what is in them."""

import io
from pathlib import Path

import pycdlib
from pycdlib.pycdlibexception import PyCdlibException


def volume(files: dict[str, str], label: str) -> bytes:
    """A volume labelled ``label`` with ``files`` in its root, under their real (Rock Ridge, Joliet) names."""
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=label)
    for number, (name, text) in enumerate(sorted(files.items())):
        data = text.encode()
        iso.add_fp(io.BytesIO(data), len(data), f"/FILE{number}.;1", rr_name=name, joliet_path=f"/{name}")
    out = io.BytesIO()
    iso.write_fp(out)
    iso.close()
    return out.getvalue()


def extract(iso_file: Path, wanted: dict[str, Path]) -> set[str]:
    """Write files of a volume, by their absolute Rock Ridge path, to places on this host.

    Returns those that were there. Raises ValueError when the file is no ISO 9660 volume, or a damaged one.
    """
    iso = pycdlib.PyCdlib()
    try:
        iso.open(str(iso_file))
    except PyCdlibException as error:
        raise ValueError(str(error)) from error
    try:
        return {path for path, place in wanted.items() if _extract_one(iso, path, place)}
    finally:
        iso.close()


def _extract_one(iso: pycdlib.PyCdlib, path: str, place: Path) -> bool:
    if not iso.has_rock_ridge():  # as every volume of Debian has
        return False
    try:
        iso.get_file_from_iso(str(place), rr_path=path)
    except PyCdlibException:
        place.unlink(missing_ok=True)
        return False
    return True
