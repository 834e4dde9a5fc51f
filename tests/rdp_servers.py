"""Real RDP servers on loopback: xrdp in namespaces of its own, and FreeRDP's shadow server, which speaks NLA."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import certificates
from certificates import DAY, NOW
from sshd import free_port, sshd

from kvm_action import proc
from kvm_action.checks.rdp.screen import screen
from kvm_action.checks.rdp.tools import find_tools
from kvm_action.ssh import Session, connect
from kvm_action.wait import Deadline, until

USER = "developer"
PASSWORD = "hunter2 & 'more'"
SHADOW = shutil.which("freerdp-shadow-cli") or shutil.which("freerdp-shadow-cli3")
SOON = timedelta(seconds=30)

# All that xrdp and a login write to is a mount that only this namespace has: the users' files, /etc/xrdp, /run,
# /home, /tmp but for the test's own folder, the logs. The network is the host's, so that the tests reach it on
# loopback.
_RIG = """\
set -e
mount --bind "$1" /mnt
mount -t tmpfs -o mode=1777 none /tmp
mkdir -p "$1"
mount --bind /mnt "$1"
cd "$1"
for file in passwd shadow group; do cp /etc/$file $file; done
echo 'developer:x:4321:4321::/home/developer:/bin/bash' >> passwd
echo 'developer:x:4321:' >> group
echo "developer:$2:19000:0:99999:7:::" >> shadow
for file in passwd shadow group; do mount --bind $file /etc/$file; done
mount --bind xrdp /etc/xrdp
for folder in /run /var/log /home; do mount -t tmpfs none $folder; done
mkdir -p /run/xrdp /run/sshd /home/developer /tmp/.X11-unix
chmod 1777 /tmp/.X11-unix
chown 4321:4321 /home/developer
xrdp-sesman --nodaemon &
for ini in /etc/xrdp/xrdp*.ini; do
    [ "$ini" = /etc/xrdp/xrdp_keyboard.ini ] && continue
    xrdp --nodaemon --config "$ini" &
done
wait
"""


@dataclass(frozen=True)
class Xrdp:
    """Three of them: as Debian has it, with plain RDP security only, and with an expired certificate."""

    port: int
    plain: int
    expired: int
    guest: Session

    def start_session_with(self, script: str) -> None:
        """Let the next session of the user run ``script``, and end the one that there may be."""
        self.guest.run(
            "pkill -KILL -u developer; cat > /home/developer/.xsession; rm -f /home/developer/.xsession-errors;"
            " while pgrep -u developer; do sleep 0.1; done",
            stdin=script.encode(),
            timeout=SOON,
        )


def missing_for_xrdp() -> str:
    """Why xrdp cannot run here, empty when it can."""
    if os.geteuid() != 0:
        return "xrdp's logins need root"
    path = "/usr/sbin:/sbin:" + os.environ.get("PATH", "")
    gone = [
        name for name in ("xrdp", "xrdp-sesman", "unshare", "xterm", "sshd") if not shutil.which(name, path=path)
    ]
    if not Path("/usr/lib/xorg/modules/libxorgxrdp.so").exists():
        gone.append("xorgxrdp")
    return f"this host lacks {', '.join(gone)}: tools/host-packages test" if gone else missing_for_sessions()


def missing_for_nla() -> str:
    """Why FreeRDP's server cannot run here, empty when it can."""
    gone = [name for name, path in (("FreeRDP's server", SHADOW), ("xterm", shutil.which("xterm"))) if not path]
    return f"this host lacks {', '.join(gone)}: tools/host-packages test" if gone else missing_for_sessions()


def missing_for_sessions() -> str:
    """Why no session can be opened from here, empty when it can."""
    tools = find_tools()
    return tools.how_to_install if tools.missing else ""


@contextmanager
def xrdp(folder: Path) -> Iterator[Xrdp]:
    """The servers, and a session by SSH with the machine they are on; gone with their namespaces at the end."""
    ports = [free_port() for _ in range(4)]
    _configure(folder / "xrdp", *ports)
    hashed = proc.run(["openssl", "passwd", "-6", "-stdin"], stdin=PASSWORD).stdout.strip()
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    with (folder / "rig.log").open("wb") as log:
        process = proc.start([*namespaces, "sh", "-c", _RIG, "rig", folder, hashed], stdout=log, stderr=log)
    try:
        assert until(lambda: all(map(_answers, ports[:3])), Deadline(SOON)), (folder / "rig.log").read_text()
        inside = proc.run(["pgrep", "-P", str(process.pid)]).stdout.split()[0]
        with (
            sshd(folder, prefix=["nsenter", "--target", inside, "--mount", "--pid"]) as server,
            connect(
                server.address,
                user=server.user,
                private_key=server.user_key.private,
                host_key=server.host_key.public,
                deadline=Deadline(SOON),
                access_folder=folder / "access",
            ) as session,
        ):
            yield Xrdp(*ports[:3], session)
    finally:
        proc.kill_group(process)


def _configure(folder: Path, port: int, plain: int, expired: int, sesman: int) -> None:
    shutil.copytree("/etc/xrdp", folder, symlinks=True, ignore=shutil.ignore_patterns("*.pem"))
    ini = (folder / "xrdp.ini").read_text().replace("\nport=3389\n", "\nport=tcp://127.0.0.1:PORT\n")
    _write_server(folder / "xrdp.ini", ini, port, NOW + DAY)
    _write_server(folder / "xrdp-expired.ini", ini, expired, NOW - DAY)
    _write_server(folder / "xrdp-plain.ini", ini.replace("security_layer=negotiate", "security_layer=rdp"), plain)
    settings = (folder / "sesman.ini").read_text()
    settings = settings.replace("ListenPort=3350", f"ListenPort={sesman}")
    (folder / "sesman.ini").write_text(settings.replace("X11DisplayOffset=10", "X11DisplayOffset=940"))


def _write_server(path: Path, ini: str, port: int, ends: datetime = NOW + DAY) -> None:
    place = path.parent / path.stem
    place.mkdir()
    certificate, key = certificates.write(place, NOW - 9 * DAY, ends)
    ini = ini.replace("127.0.0.1:PORT\n", f"127.0.0.1:{port}\n").replace(
        "LogFile=xrdp.log", f"LogFile={path.stem}.log"
    )
    ini = ini.replace("\ncertificate=\n", f"\ncertificate=/etc/xrdp/{path.stem}/{certificate.name}\n")
    path.write_text(ini.replace("\nkey_file=\n", f"\nkey_file=/etc/xrdp/{path.stem}/{key.name}\n"))


def _answers(port: int) -> bool:
    done = proc.run(["ss", "-Hltn", f"sport = :{port}"])
    return bool(done.stdout.strip())


@contextmanager
def shadow(folder: Path, nt_hash: str) -> Iterator[int]:
    """FreeRDP's server, which lets in by NLA only, over a screen with a terminal on it; its port."""
    port = free_port()
    (folder / "screen").mkdir()
    (folder / "sam").write_text(f"{USER}:::{nt_hash}:::\n")
    line = [SHADOW or "", f"/port:{port}", "/bind-address:127.0.0.1", "+auth", "/sec:nla"]
    with screen(find_tools(), folder / "screen") as display, (folder / "shadow.log").open("wb") as log:
        environment = {**display.environment, "HOME": str(folder)}
        window = proc.start(
            ["xterm", "-e", "ls -la /; sleep 1000"], environment=environment, stdout=log, stderr=log
        )
        server = proc.start([*line, f"/sam-file:{folder}/sam"], environment=environment, stdout=log, stderr=log)
        try:
            assert until(lambda: _answers(port), Deadline(SOON)), (folder / "shadow.log").read_text()
            yield port
        finally:
            proc.kill_group(server)
            proc.kill_group(window)


def nt_hash_of(password: str) -> str:
    """What Windows keeps of a password; MD4 is old enough that OpenSSL has to be asked twice."""
    command = ["openssl", "dgst", "-md4", "-provider", "legacy", "-provider", "default", "-binary"]
    done = subprocess.run(command, input=password.encode("utf-16-le"), capture_output=True, check=True)
    return done.stdout.hex()
