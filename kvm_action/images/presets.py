"""The cloud images that have a name here: what their distributions publish, and where. Values only."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class CloudImage:
    """An image that a distribution publishes, and the list of checksums beside it."""

    name: str
    url: str
    checksums: str
    os: str = ""


def _debian(number: int, suite: str) -> CloudImage:
    folder = f"https://cloud.debian.org/images/cloud/{suite}/latest"
    return CloudImage(
        name=f"debian-{number}-cloud",
        url=f"{folder}/debian-{number}-genericcloud-amd64.qcow2",
        checksums=f"{folder}/SHA512SUMS",
        os=f"debian-{number}",
    )


def _ubuntu(number: str) -> CloudImage:
    folder = f"https://cloud-images.ubuntu.com/releases/{number}/release"
    return CloudImage(
        name=f"ubuntu-{number}-cloud",
        url=f"{folder}/ubuntu-{number}-server-cloudimg-amd64.img",
        checksums=f"{folder}/SHA256SUMS",
        os=f"ubuntu-{number}",
    )


PRESETS: Final = {
    image.name: image
    for image in (_debian(13, "trixie"), _debian(12, "bookworm"), _ubuntu("24.04"), _ubuntu("22.04"))
}
"""By name."""
