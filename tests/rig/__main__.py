"""`python -m rig [IMAGE...]`: makes the machine of each image, runs in it, and tells what the runs inside say."""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from rig.packing import PYTHONS, REPOSITORY, pack
from rig.reading import figures, read_all

TOOL: Final = Path(sys.executable).with_name("kvm-e2e")
WORK: Final = REPOSITORY / "build/rig"
HISTORY: Final = REPOSITORY / "build/rig-history"
"""Of its own: results of an emulated host belong beside no others. Their plans are called `rig-…`."""


def main() -> int:
    """One machine after the other; the worst exit status."""
    parser = argparse.ArgumentParser(prog="python -m rig", description=__doc__)
    parser.add_argument("images", nargs="*", metavar="IMAGE", help=f"some of: {', '.join(PYTHONS)}")
    parser.add_argument(
        "--keep", default="never", help="as of `kvm-e2e run`: always leaves the machine for a look"
    )
    asked = parser.parse_args()
    if unknown := set(asked.images) - set(PYTHONS):
        parser.error(f"no rig of {', '.join(sorted(unknown))}; there are: {', '.join(PYTHONS)}")
    return max(try_out(image, asked.keep) for image in asked.images or PYTHONS)


def try_out(image: str, keep: str) -> int:
    """Pack, run, tell; 0 if the run passed."""
    folder = WORK / image
    out = folder.with_name(f"{image}-{time.strftime('%Y%m%d-%H%M%S')}")
    say(f"{image}: packing into {folder}")
    if subprocess.run([TOOL, "image", "build", image], check=False).returncode != 0:
        return 1
    plan = pack(image, folder)
    say(f"{image}: the runs inside tell each its line in {folder / 'progress.log'}")
    called = ["--image", image, "--set", f"name=rig-{image}"]
    words = ["run", plan, *called, "--start", "boot", "--keep", keep, "--out", out]
    ended = subprocess.run([TOOL, *words], check=False)
    tell(image, out)
    return 0 if ended.returncode == 0 else 1


def tell(image: str, out: Path) -> None:
    """The figures, and where everything is; the results inside go into the rig's own history."""
    results = out / "artifacts/var/lib/rig/results"
    inner = read_all(results)
    for line in (line for place in ("session", "system") for line in figures(inner, place)):
        say(f"{image}, {line}")
    if inner:
        subprocess.run([TOOL, "history", "add", "--to", HISTORY, *(run.path for run in inner)], check=False)
    say(f"{image}: {out / 'report.html'}; of the {len(inner)} runs inside: {results}")


def say(line: str) -> None:
    """At once, also into a file."""
    print(line, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
