"""The system's libvirt daemon, with networks, in namespaces of its own: the host's libvirt is not touched."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tooling import REPOSITORY, Tool, wait_for

NETWORK = "tested"
GATEWAY = "192.168.77.1"
DHCP = "<dhcp><range start='192.168.77.100' end='192.168.77.199'/></dhcp>"
NAT = f"""
<network>
  <name>{NETWORK}</name>
  <forward mode='nat'/>
  <bridge name='e2ebr0' stp='on' delay='0'/>
  <ip address='{GATEWAY}' netmask='255.255.255.0'>{DHCP}</ip>
</network>
"""


@dataclass(frozen=True)
class SystemLibvirt:
    """A privileged libvirtd in namespaces whose first process is ``first``; ``home`` is open to QEMU's user."""

    home: Path
    first: int

    @property
    def enter(self) -> tuple[str, ...]:
        """What to put before a command that is to run beside the daemon."""
        return ("nsenter", "--target", str(self.first), "--mount", "--net", "--pid", f"--wd={REPOSITORY}")

    def run(self, *argv: str, stdin: str = "") -> str:
        done = subprocess.run(
            [*self.enter, *argv], input=stdin, text=True, capture_output=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def virsh(self, *words: str, stdin: str = "") -> str:
        return self.run("virsh", "-c", "qemu:///system", *words, stdin=stdin)

    def define_network(self, xml: str) -> None:
        self.virsh("net-define", "/dev/stdin", stdin=xml)

    def tool(self, folder: Path) -> Tool:
        return Tool(self.home, folder, {"LIBVIRT_DEFAULT_URI": "qemu:///system"}, prefix=self.enter)

    def leftovers(self) -> list[str]:
        """What runs left: machines, network cards, QEMU's logs, files."""
        domains = self.virsh("list", "--all", "--name").split()
        cards = self.run("sh", "-c", "ls /sys/class/net | grep vnet || true").split()
        logs = self.run("find", "/var/log/libvirt/qemu", "-name", "kvm-e2e-*").split()
        return [*domains, *cards, *logs, *map(str, self.home.glob("runs/*"))]


@contextmanager
def system_libvirt(images: Path) -> Iterator[SystemLibvirt]:
    home = Path(tempfile.mkdtemp(prefix="kvm-e2e-", dir="/var/tmp"))
    home.chmod(0o711)
    script = Path(__file__).with_suffix(".sh")
    process = subprocess.Popen(
        ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", script, home, images],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        first = wait_until_ready(process)
        libvirt = SystemLibvirt(home, first)
        libvirt.define_network(NAT)
        libvirt.virsh("net-start", NETWORK)
        yield libvirt
    finally:
        end(process)
        shutil.rmtree(home)


def wait_until_ready(process: subprocess.Popen[str]) -> int:
    """Returns the pid of the first process in the namespaces."""
    said = []
    for line in process.stdout:
        if line == "ready\n":
            return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
        said.append(line)
    raise AssertionError(f"the system's libvirt did not start: {''.join(said)}")


def end(process: subprocess.Popen[str]) -> None:
    """End `unshare`; its child, the first process, is killed with it, and with that all others in there."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    process.communicate()
    wait_for(lambda: not any(Path(f"/proc/{child}").exists() for child in children), 30, "the namespaces to end")
