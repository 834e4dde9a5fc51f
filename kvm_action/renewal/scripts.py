"""The scripts: one settles a machine that is to be frozen, one renews it when it woke, one awaits its network."""

import hashlib
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent
ENTROPY_BYTES: Final = 64
"""Fresh random bytes that a woken machine is given."""


@dataclass(frozen=True, kw_only=True)
class FrozenIdentity:
    """Who the template is: what no machine that wakes from it may still be. ``nonce`` is in its memory only."""

    nonce: str
    machine_id: str
    boot_id: str
    hostname: str
    host_key: str


@dataclass(frozen=True, kw_only=True)
class NewIdentity:
    """Who a woken machine shall be. Keys in OpenSSH format; ``password`` empty for none."""

    hostname: str
    machine_id: str
    user: str
    authorized_key: str
    host_key_public: str
    host_key: str = field(repr=False)
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class Script:
    """A program for the guest's root, and its standard input."""

    argv: tuple[str, ...]
    stdin: bytes = field(repr=False)


def settling(nonce: str, user: str) -> Script:
    """Get a booted machine ready to be frozen; answers with ``machine_id`` and ``boot_id``."""
    return Script(("/bin/sh", "-s", nonce, user), (_HERE / "settle.sh").read_bytes())


def renewal(new: NewIdentity, entropy: bytes, now: float) -> Script:
    """Make a woken machine another one. ``entropy``: fresh random bytes; ``now``: the host's clock, in seconds."""
    values = {name.name: getattr(new, name.name).encode() for name in fields(new)}
    values |= {"entropy": entropy, "time": f"{now:.3f}".encode()}
    lines = "".join(f"{name} {value.hex()}\n" for name, value in values.items())
    return Script(("/usr/bin/perl",), (_HERE / "renew.pl").read_bytes() + f"__END__\n{lines}".encode())


def arrival(timeout: timedelta) -> Script:
    """Wait until the network card that was plugged in has an IPv4 address; exits 1 when it gets none."""
    lines = f"__END__\n{timeout.total_seconds():.0f}\n"
    return Script(("/usr/bin/perl",), (_HERE / "arrival.pl").read_bytes() + lines.encode())


def scripts_digest() -> str:
    """Of the scripts' text: a template that was made by others is another one."""
    text = b"".join((_HERE / name).read_bytes() for name in ("settle.sh", "renew.pl", "arrival.pl"))
    return hashlib.sha256(text).hexdigest()[:12]


def said(output: bytes) -> dict[str, str]:
    """The lines ``name value`` that either script prints."""
    pairs = (line.partition(" ") for line in output.decode(errors="replace").splitlines()[:50])
    return {name: value.strip() for name, _, value in pairs if value}
