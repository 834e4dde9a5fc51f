"""The NoCloud seed: what cloud-init is told at the first boot, as an ISO 9660 volume.

https://docs.cloud-init.io/en/latest/reference/datasources/nocloud.html
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kvm_action import iso

VOLUME: Final = "cidata"
_ESCAPED: Final = re.compile("[\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff]")
"""What YAML takes for a line end, or does not take at all."""


@dataclass(frozen=True, kw_only=True)
class SeedSpec:
    """One machine's identity. Keys in OpenSSH format; ``password`` plain, empty for none.

    Without a ``mac``, any Ethernet card is configured: the machine gets its card later.
    """

    instance_id: str
    hostname: str
    mac: str
    user: str
    sudo: bool
    authorized_key: str
    host_key_private: str = field(repr=False)
    host_key_public: str
    password: str = field(default="", repr=False)


def documents(spec: SeedSpec) -> dict[str, str]:
    """The seed's files by name."""
    return {
        "meta-data": _json(_meta_data(spec)),
        "user-data": "#cloud-config\n" + _json(_user_data(spec)),
        "network-config": _json(_network(spec.mac)),
    }


def write(spec: SeedSpec, path: Path) -> int:
    """Write the seed to ``path``, readable by its owner only, since it holds a private key; returns its bytes."""
    data = iso.volume(documents(spec), VOLUME)
    path.touch(mode=0o600)
    path.write_bytes(data)
    return len(data)


def _meta_data(spec: SeedSpec) -> dict[str, object]:
    # Nothing in our seed needs the network: cloud-init may do all of it before the network is up.
    return {"instance-id": spec.instance_id, "local-hostname": spec.hostname, "dsmode": "local"}


def _user_data(spec: SeedSpec) -> dict[str, object]:
    user: dict[str, object] = {
        "name": spec.user,
        "shell": "/bin/bash",
        "ssh_authorized_keys": [spec.authorized_key],
        "lock_passwd": not spec.password,
    }
    if spec.sudo:
        user["sudo"] = "ALL=(ALL) NOPASSWD:ALL"
    if spec.password:
        user["plain_text_passwd"] = spec.password
    return {
        "users": [user],
        "ssh_pwauth": bool(spec.password),
        "disable_root": True,
        "ssh_deletekeys": True,
        "ssh_keys": {"ed25519_private": spec.host_key_private, "ed25519_public": spec.host_key_public},
        "manage_etc_hosts": True,
    }


def _network(mac: str) -> dict[str, object]:
    match = {"macaddress": mac} if mac else {"name": "e*"}
    card = {"match": match, "dhcp4": True, "dhcp6": False, "optional": True}
    return {"version": 2, "ethernets": {"nic0": card}}


def _json(value: object) -> str:
    """JSON, which means the same in every YAML. cloud-init reads YAML 1.1, where a bare 52:54:00:51:56:17 is a
    number to the base of 60, `yes` a truth value and 0123 an octal number. It knows no pairs of surrogates
    either, by which JSON can write what is beyond U+FFFF."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"
