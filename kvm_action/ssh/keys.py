"""Ed25519 key pairs, for the plan's user and for the guest's own host key."""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)


@dataclass(frozen=True)
class KeyPair:
    """``private`` in OpenSSH's own format, ``public`` as a line of authorized_keys without comment or line end."""

    private: str = field(repr=False)
    public: str


def generate_key() -> KeyPair:
    """A new key pair. Takes well under a millisecond."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return KeyPair(private.decode(), public.decode())
