"""Cold boot to SSH against autopkgtest-virt-qemu: one image file, one seed's worth of set-up, the same sizes."""

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from benchmarks import autopkgtest
from benchmarks.reading import Reading
from benchmarks.workshop import Workshop
from kvm_action import accel, seed, ssh
from kvm_action.backends import first_boot
from kvm_action.backends.identity import Identity, new_identity
from kvm_action.digest import sha256_of
from kvm_action.images.store import Store
from kvm_action.paths import Home
from kvm_action.plan.model import Accel
from kvm_action.reach import Address
from kvm_action.wait import Deadline

RATIO = 1.0
IMAGE, CPUS, MEGABYTES, USER = "debian-12", 2, 1024, "testuser"
SAME = f"{IMAGE}, {CPUS} CPUs, {MEGABYTES} MiB, one image file and the same cloud-init seed for both"
FLAGS = {"tcg": "-accel tcg,thread=multi -cpu max,-cx16", "kvm": "-accel kvm -cpu host"}
LONG = timedelta(minutes=5)
PLAN = f"""
machine: {{image: bench, cpus: {CPUS}, memory: {MEGABYTES}MiB, disk: 4GiB}}
provision: {{run: "true"}}
snapshots: []
"""


def measure(workshop: Workshop) -> list[Reading]:
    """Three pairs: each boot is most of a minute in emulation."""
    autopkgtest.require()
    workshop.tool("image", "build", IMAGE)
    folder = workshop.folder / "cold-boot"
    folder.mkdir()
    own = Workshop(folder, workshop.say, workshop.samples, {"KVM_E2E_HOME": str(folder / "home")})
    accelerator = accel.choose(Accel.AUTO).name
    rival = Rival(folder, taken_in(own, folder), accelerator)
    plan = folder / "plan.yml"
    plan.write_text(PLAN)

    def ours(number: int) -> float:
        return our_boot(own, plan, folder / f"out-{number}", accelerator)

    pairs = workshop.interleaved(workshop.count(3), ours, lambda _number: rival.boot())
    side_by_side = partial(Reading, unit="s", ours=pairs[0], against="autopkgtest-virt-qemu", ratio_at_most=RATIO)
    return [
        side_by_side(
            name="cold boot to SSH",
            theirs=pairs[1],
            includes=f"{SAME}, on {accelerator}; from the command's start to an answer over SSH, set-up done",
        ),
        side_by_side(
            name="cold boot to a shell",
            theirs=tuple(rival.shells),
            includes="ours: the same; theirs: to an answer of its root shell, 3 s of its own waiting included",
        ),
    ]


def taken_in(own: Workshop, folder: Path) -> Path:
    """The image of both sides, in a store of this benchmark's own; returns its file."""
    image = autopkgtest.with_root_shell(Store(Home.from_environ().images).get(IMAGE).path, folder)
    own.tool("image", "import", image, "--name", "bench", "--sha256", sha256_of(image))
    image.unlink()
    return Store(folder / "home/images").get("bench").path


def our_boot(own: Workshop, plan: Path, out: Path, accelerator: str) -> float:
    """Seconds from the start of the command to the end of the step `ssh`."""
    begun = time.time()
    result = own.run_plan(plan, out, "--start", "boot", "--accel", accelerator)
    [step] = [step for step in result["steps"] if step["name"] == "ssh"]
    return datetime.fromisoformat(step["started_at"]).timestamp() + float(step["seconds"]) - begun


@dataclass
class Rival:
    """autopkgtest-virt-qemu with the same image. ``shells``: seconds until its root shell answered."""

    folder: Path
    image: Path
    accelerator: str
    shells: list[float] = field(default_factory=list)

    def boot(self) -> float:
        """Seconds from its start to the same session that ours has."""
        identity = new_identity("bench-000000")
        volume = write_seed(identity, self.folder / "seed.iso")
        options = f"{FLAGS[self.accelerator]} -drive file={volume},if=virtio,format=raw,readonly=on"
        begun = time.monotonic()
        with autopkgtest.testbed(self.image, self.folder, options, CPUS, MEGABYTES) as bed:
            bed.wait_for(bed.forwarded, 30)
            with ssh.connect(
                Address("127.0.0.1", bed.port),
                user=USER,
                private_key=identity.user_key.private,
                host_key=identity.host_key.public,
                deadline=Deadline(LONG),
                access_folder=self.folder,
            ) as session:
                first_boot.finished(session, LONG)
                taken = time.monotonic() - begun
            bed.wait_for(bed.shell, LONG.total_seconds())
        self.shells.append(bed.shell_at - begun)
        return taken


def write_seed(identity: Identity, path: Path) -> Path:
    """The same set-up that our own machine is given."""
    spec = seed.SeedSpec(
        instance_id="bench", hostname=identity.hostname, mac=autopkgtest.MAC, user=USER, sudo=True,
        authorized_key=identity.user_key.public, host_key_private=identity.host_key.private,
        host_key_public=identity.host_key.public,
    )  # fmt: skip
    seed.write(spec, path)
    return path
