"""`kvm-e2e image import`: a disk file of this host or of the web."""

from pathlib import Path

import click

from kvm_action.cli.image.shown import say, store_of_user, tell_made
from kvm_action.cli.options import choice
from kvm_action.errors import ImageError, PlanError
from kvm_action.images import checksums, cloud
from kvm_action.images.addresses import is_address, require_address, shown
from kvm_action.images.checksums import Checksum
from kvm_action.images.importing import Promise, import_file
from kvm_action.images.model import Firmware, Image, Input
from kvm_action.images.reference import require_name
from kvm_action.interruption import interruptible
from kvm_action.paths import Home


@click.command("import")
@click.argument("source", metavar="FILE|URL")
@click.option("--name", required=True, help="What plans will call it.")
@click.option("--sha256", metavar="HEX", help="The checksum that its publisher states; a SHA-512 will do, too.")
@click.option(
    "--checksums", "listing", metavar="FILE|URL", help="The publisher's SHA256SUMS or SHA512SUMS instead."
)
@click.option("--format", "kind", type=click.Choice(["qcow2", "raw", "vmdk"]), help="What it is said to be.")
@click.option("--firmware", type=choice(Firmware), help="What it boots by.")
@click.option("--os", "system", default="", help="What is on it, such as debian-13.")
def import_image(
    source: str,
    name: str,
    sha256: str | None,
    listing: str | None,
    kind: str | None,
    firmware: str | None,
    system: str,
) -> None:
    """Take a qcow2, raw or vmdk file into the store.

    One of --sha256 and --checksums is required. It is verified, checked, looked into without being mounted, and
    copied as qcow2. Format, firmware and system are found out; what you say of the format must be true, what you
    say of the others is believed.
    """
    require_name(name)
    promise = Promise(
        checksum=_checksum(source, sha256, listing),
        place=Input(name="url", value=shown(source)) if is_address(source) else Input(name="file", value=source),
        format=kind or "",
        firmware=Firmware(firmware) if firmware else None,
        os=system,
        inputs=(Input(name="checksums", value=shown(listing)),) if listing else (),
    )
    with interruptible():
        image = _take(source, name, promise)
    tell_made(image)


def _checksum(source: str, sha256: str | None, listing: str | None) -> Checksum:
    if bool(sha256) == bool(listing):
        raise PlanError(
            "an image is imported by its checksum: " + ("one is enough" if sha256 else "none was given"),
            hint="give --sha256 HEX, or --checksums with the SHA256SUMS file that its publisher has beside it",
        )
    if is_address(source):
        require_address(source)
    return cloud.checksum_of(source, listing) if listing else checksums.parse(sha256 or "")


def _take(source: str, name: str, promise: Promise) -> Image:
    store = store_of_user()
    if not is_address(source) and Path(source).is_dir():
        raise ImageError(f"{source} is a folder, not an image", hint="give the disk file in it")
    if not is_address(source):
        return import_file(store, Path(source), name=name, promise=promise, progress=say)
    downloads = Home.from_environ().cache / "downloads"
    with (
        cloud.alone_with(promise.checksum, downloads, say),
        cloud.downloaded(source, promise.checksum, downloads, say) as file,
    ):
        return import_file(store, file, name=name, promise=promise, progress=say)
