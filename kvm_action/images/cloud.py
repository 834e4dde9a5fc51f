"""Recipe `cloud`: a distribution's own cloud image, fetched from its address and verified by its checksums."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from time import time
from typing import Final

from kvm_action.errors import HostError, ImageError
from kvm_action.images import checksums, download
from kvm_action.images.addresses import file_name, is_address, require_address, shown
from kvm_action.images.checksums import Checksum
from kvm_action.images.importing import Promise, import_file
from kvm_action.images.model import Image, Input
from kvm_action.images.presets import CloudImage
from kvm_action.images.store import Store
from kvm_action.locks import held

Progress = Callable[[str], None]

_KEPT: Final = timedelta(days=14)


def build(store: Store, wanted: CloudImage, downloads: Path, progress: Progress, *, force: bool = False) -> Image:
    """Fetch a cloud image and put it into ``store`` under its name, unless the very same file is there already.

    Raises ImageError, HostError, PlanError.
    """
    require_address(wanted.url)
    checksum = checksum_of(wanted.url, wanted.checksums)
    mark = Input(name="checksum", value=str(checksum))

    def there() -> Image | None:
        image = store.find(wanted.name)
        return image if image and image.method == "cloud" and mark in image.inputs else None

    if not force and (image := there()):
        return image
    promise = Promise(
        checksum=checksum,
        place=Input(name="url", value=shown(wanted.url)),
        os=wanted.os,
        recipe=f"cloud/{wanted.name}",
        inputs=(Input(name="checksums", value=_shown(wanted.checksums)),),
        needs_cloud_init=True,
    )
    with alone_with(checksum, downloads, progress):
        if not force and (image := there()):  # made by the one that we waited for
            return image
        with downloaded(wanted.url, checksum, downloads, progress) as file:
            return import_file(store, file, name=wanted.name, promise=promise, progress=progress)


def checksum_of(url: str, source: str) -> Checksum:
    """What the list of checksums at ``source``, an address or a file, states for the file at ``url``."""
    if is_address(source):
        text = download.fetch_text(source)
    else:
        try:
            text = Path(source).read_text(errors="replace")
        except OSError as error:
            raise ImageError(f"{source} cannot be read: {error.strerror}") from error
    return checksums.of_file(text, file_name(url), _shown(source))


@contextmanager
def alone_with(checksum: Checksum, downloads: Path, progress: Progress) -> Iterator[None]:
    """Be the only one who fetches the file of that checksum and takes it in."""
    waiting = "another process takes in the same file; waiting for it"
    with held(downloads / f"{_name(checksum)}.taking.lock", on_wait=lambda: progress(waiting)):
        yield


@contextmanager
def downloaded(url: str, checksum: Checksum, downloads: Path, progress: Progress) -> Iterator[Path]:
    """The file at ``url``, which is still to be verified; gone afterwards, unless the host was in the way.

    Call it `alone_with` the file. Raises ImageError; an unfinished download is kept for two weeks.
    """
    _remove_old(downloads)
    file = downloads / _name(checksum)
    progress(f"downloading {shown(url)}")
    if not file.exists():
        download.fetch(url, file, progress)
    try:
        yield file
    except HostError:
        raise
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    file.unlink(missing_ok=True)


def _name(checksum: Checksum) -> str:
    return checksum.digits[:32]


def _shown(source: str) -> str:
    return shown(source) if is_address(source) else source


def _remove_old(downloads: Path) -> None:
    ended = time() - _KEPT.total_seconds()
    for file in downloads.glob("*"):
        if file.suffix == ".lock":  # its age says nothing: it may be held, by us too
            continue
        with suppress(OSError):  # another process removes them too
            if file.stat().st_mtime < ended:
                file.unlink()
