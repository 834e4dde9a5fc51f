"""Just enough of a VNC client (RFC 6143) to see whether a password opens a screen."""

import socket
import struct

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import ECB

VNC_AUTHENTICATION = 2


def opens(port: int, password: str) -> bool:
    """Does ``password`` let one in at 127.0.0.1:``port``? Asserts that no password would not do."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        stream = connection.makefile("rwb")
        assert stream.read(4) == b"RFB "
        stream.read(8)
        stream.write(b"RFB 003.008\n")
        stream.flush()
        kinds = stream.read(stream.read(1)[0])
        assert list(kinds) == [VNC_AUTHENTICATION], "a screen must never be open without a password"
        stream.write(bytes([VNC_AUTHENTICATION]))
        stream.flush()
        stream.write(answer(stream.read(16), password))
        stream.flush()
        result = stream.read(4)
        return len(result) == 4 and struct.unpack(">I", result) == (0,)


def answer(challenge: bytes, password: str) -> bytes:
    """The challenge encrypted by DES, whose key is the password with the bits of each byte in reverse."""
    key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in password.encode()[:8].ljust(8, b"\0"))
    encryptor = Cipher(TripleDES(key * 3), ECB()).encryptor()
    return encryptor.update(challenge) + encryptor.finalize()
