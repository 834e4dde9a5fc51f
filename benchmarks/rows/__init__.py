"""The rows of the table: a file each, with a function that measures it and the target it declares.

To add one: write ``measure(workshop) -> list[Reading]`` in a file of its own and name it here.
"""

from collections.abc import Callable
from typing import Final

from benchmarks.reading import Reading
from benchmarks.rows import (
    clones_memory,
    cold_boot,
    copy_tree,
    hello,
    help_time,
    image_build,
    promote,
    template_build,
    vps,
    warm_hello,
    warm_start,
)
from benchmarks.workshop import Workshop

Row = Callable[[Workshop], list[Reading]]

ROWS: Final[dict[str, Row]] = {
    "help": help_time.measure,
    "copy": copy_tree.measure,
    "hello": hello.measure,
    "warm-start": warm_start.measure,
    "warm-hello": warm_hello.measure,
    "template-build": template_build.measure,
    "clones-memory": clones_memory.measure,
    "cold-boot": cold_boot.measure,
}

LONG_ROWS: Final[dict[str, Row]] = {
    "image-build": image_build.measure,
    "image-build-uefi": image_build.measure_uefi,
    "promote": promote.measure,
    "vps": vps.measure,
}
"""Only when they are asked for: minutes of building."""
