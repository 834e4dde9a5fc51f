"""A container as values, and what the Engine API is asked for: as little power as systemd can start with."""

from dataclasses import dataclass
from typing import Final

LEASE_LABEL: Final = "kvm-e2e.lease"

CAPABILITY: Final = "SYS_ADMIN"
"""systemd mounts; every other power that it asks for is among those that Docker gives to all containers."""

# On unified cgroups Docker mounts the container's own tree read-only, and systemd cannot do without it.
_BOOT: Final = """\
[ ! -f /sys/fs/cgroup/cgroup.controllers ] || mount -o remount,rw /sys/fs/cgroup
[ -x /sbin/init ] || { echo 'kvm-e2e: the image has no /sbin/init'; exit 127; }
exec /sbin/init
"""
_RUN: Final = "rw,nosuid,nodev,exec,mode=755"
_LOG: Final = {"Type": "json-file", "Config": {"max-size": "16m", "max-file": "1"}}


@dataclass(frozen=True, kw_only=True)
class ContainerSpec:
    """One container. ``memory`` in bytes; ``network`` is the name of a Docker network."""

    name: str
    image: str
    hostname: str
    cpus: int
    memory: int
    network: str
    labels: dict[str, str]
    privileged: bool = False


def configuration(spec: ContainerSpec) -> dict[str, object]:
    """The body of ``POST /containers/create``.

    Memory is all there is, as in a machine without swap; a machine's /dev/shm is half of it.
    """
    return {
        "Image": spec.image,
        "Hostname": spec.hostname,
        "Labels": spec.labels,
        "Entrypoint": ["/bin/sh", "-c", _BOOT],
        "Cmd": [],
        "Env": ["container=docker"],
        "User": "0:0",
        "WorkingDir": "/",
        "Tty": True,
        "StopSignal": "SIGRTMIN+3",
        "HostConfig": {
            "NanoCpus": spec.cpus * 10**9,
            "Memory": spec.memory,
            "MemorySwap": spec.memory,
            "ShmSize": spec.memory // 2,
            "NetworkMode": spec.network,
            "CgroupnsMode": "private",
            "Tmpfs": {"/run": _RUN},
            "LogConfig": _LOG,
            "RestartPolicy": {"Name": "no"},
            **power(spec.privileged),
        },
    }


def power(privileged: bool) -> dict[str, object]:
    """What the container may do beyond any other: mount. Docker's AppArmor profile would forbid that again."""
    if privileged:
        return {"Privileged": True}
    return {"CapAdd": [CAPABILITY], "SecurityOpt": ["apparmor=unconfined"]}
