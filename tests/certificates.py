"""Self-signed certificates of any validity, for servers of the tests' own."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def der(begins: datetime = NOW - DAY, ends: datetime = NOW + DAY, subject: str = "vps", issuer: str = "") -> bytes:
    """A certificate as it crosses the wire."""
    return _made(begins, ends, subject, issuer)[0].public_bytes(serialization.Encoding.DER)


def write(folder: Path, begins: datetime = NOW - DAY, ends: datetime = NOW + DAY) -> tuple[Path, Path]:
    """Files with a certificate and its key."""
    certificate, key = _made(begins, ends, "vps", "")
    paths = (folder / "cert.pem", folder / "key.pem")
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


def _made(
    begins: datetime, ends: datetime, subject: str, issuer: str
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer or subject))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
    return builder.sign(key, hashes.SHA256()), key


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
