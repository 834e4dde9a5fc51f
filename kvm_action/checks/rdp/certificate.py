"""What a server's certificate says of itself. Pure; the certificate is a stranger's and may be nonsense."""

import warnings
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SHA256

from kvm_action.text import plain_line

_NAME: Final = 120


class UnreadableError(Exception):
    """The bytes are no certificate; the text says why."""


@dataclass(frozen=True)
class Certificate:
    """Its facts; names are plain text on one line, times in UTC."""

    subject: str
    issuer: str
    self_signed: bool
    begins: datetime
    ends: datetime
    sha256: str

    def complaint(self, now: datetime) -> str:
        """Why a client that looks at the clock refuses it, and what to do; empty when it does not."""
        if now > self.ends:
            return (
                f"the certificate of {self.subject} expired on {self.ends:%Y-%m-%d} ({_ago(now, self.ends)} ago):"
                " renew it and restart the RDP server"
            )
        if now < self.begins:
            return (
                f"the certificate of {self.subject} is not valid before {self.begins:%Y-%m-%d %H:%M} UTC:"
                " was the clock wrong when it was made?"
            )
        return ""

    def __str__(self) -> str:
        """All of it on one line."""
        origin = "self-signed" if self.self_signed else f"issued by {self.issuer}"
        validity = f"valid {self.begins:%Y-%m-%d} to {self.ends:%Y-%m-%d}"
        return f"certificate of {self.subject}, {origin}, {validity}, SHA-256 {self.sha256}"


def read_certificate(der: bytes) -> Certificate:
    """The facts of a certificate in DER. Raises UnreadableError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # for what is odd but readable
            found = x509.load_der_x509_certificate(der)
            return Certificate(
                subject=_name(found.subject),
                issuer=_name(found.issuer),
                self_signed=found.subject == found.issuer and _signs_itself(found),
                begins=found.not_valid_before_utc,
                ends=found.not_valid_after_utc,
                sha256=found.fingerprint(SHA256()).hex(),
            )
    except (ValueError, TypeError, OverflowError, x509.InvalidVersion) as error:
        raise UnreadableError(plain_line(str(error), 200) or "it is damaged") from error


def _signs_itself(found: x509.Certificate) -> bool:
    try:
        found.verify_directly_issued_by(found)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):  # wrong, or a key of an unknown kind
        return False
    return True


def _name(name: x509.Name) -> str:
    return plain_line(" ".join(name.rfc4514_string().split()), _NAME) or "nobody"


def _ago(now: datetime, then: datetime) -> str:
    days = (now - then).days
    return f"{days} days" if days > 1 else "a day" if days else "less than a day"
