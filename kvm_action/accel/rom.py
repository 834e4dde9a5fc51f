"""The machine code of `rom.S` (there is the source, and the command that assembles it), and its stages."""

from typing import Final

_GUEST: Final = """
    fafcea077c000031c08ed88ed0bc007cb052baf803eee4920c0224fee6920f0116707d0f20c00c010f22c0ea307c0800
    66b810008ed88ec08ed0b05066baf803eebf0010000031c0b900140000f3abc7050010000003200000c7050020000003
    300000c7051820000003400000c7050030000083000000c705b84f00009300e0feb8001000000f22d8b8a00600000f22
    e0b9800000c00f320d010100000f300f20c00d0200008083e0fb0f22c0eab47c00001800b04c66baf803eeb807000000
    f20f2ac0f20f59c0f20f2cc083f8317571b05366baf803eeb980969800ffc975fcb04366baf803eec70425005200003b
    7d1800c7042504520000008e00000f011c25767d0000b0ffe621bf0000e0fec787f0000000ff010000c787e00300000b
    000000c7872003000020000000c78780030000a0860100fbf4ebfdb05466baf803eeb0fee664f4ebfd8db400008d7400
    0000000000000000ffff0000009acf00ffff00000092cf00ffff0000009aaf001f00507d0000ff0f0050
"""
_COPY: Final = "fcb800f08ed831c08ec0be00fcbf007cb90001f3a5ea007c"
_RESET: Final = "ebce"

ROM_BYTES: Final = 1 << 16
"""QEMU wants a multiple of 64 KiB, and puts its end where the CPU begins."""


def _rom() -> bytes:
    guest = bytes.fromhex(_GUEST).ljust(0x3C0, b"\0")
    end = guest + bytes.fromhex(_COPY).ljust(0x30, b"\0") + bytes.fromhex(_RESET).ljust(0x10, b"\0")
    return end.rjust(ROM_BYTES, b"\0")


ROM: Final = _rom()

STAGES: Final = {
    "R": "real mode",
    "P": "protected mode",
    "L": "long mode with paging",
    "S": "floating point",
    "C": "ten million loops",
    "T": "a timer interrupt",
}
"""What the guest prints after each stage, in order."""
