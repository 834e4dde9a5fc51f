"""Whether an image can boot by the firmware that the plan wants, as far as the store knows."""

from kvm_action.errors import ImageError
from kvm_action.images.model import Firmware, Image


def require_firmware(image: Image, wanted: str) -> None:
    """Raise ImageError when the image boots by UEFI only and the plan's machine has no UEFI.

    An image that boots by BIOS may boot by UEFI too: only trying tells.
    """
    if image.firmware is Firmware.UEFI and wanted != Firmware.UEFI:
        raise ImageError(
            f"image {image.name} boots by UEFI, and the plan's machine has the firmware {wanted}",
            hint="write machine: {firmware: uefi} in the plan, or add --set machine.firmware=uefi",
        )
