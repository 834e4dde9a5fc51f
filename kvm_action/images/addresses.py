"""Addresses of files on the web: which may be used for what, and how they are shown without their secrets."""

import ipaddress
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit, urlunsplit

from kvm_action.errors import PlanError


def is_address(text: str) -> bool:
    """Is this an address, rather than the path of a file?"""
    return "://" in text


def require_address(text: str) -> None:
    """Raise PlanError unless it is an http or https address of a file."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and bool(file_name(text))
    except ValueError:
        usable = False
    if not usable:
        raise PlanError(f"{shown(text)!r} is not the address of a file", hint="write https://HOST/PATH/FILE")


def require_trusted(text: str) -> None:
    """Raise PlanError unless nobody on the way can change what it answers: https, or this very host."""
    parts = urlsplit(text)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise PlanError(
            f"checksums from {shown(text)} prove nothing: anybody on the way can change them",
            hint="take them from an https address, or give the checksum itself with --sha256",
        )


def file_name(text: str) -> str:
    """The last part of the address's path."""
    return unquote(PurePosixPath(urlsplit(text).path).name)


def shown(text: str) -> str:
    """The address for a reader: a password in it, and what follows a question mark, may be secrets."""
    try:
        parts = urlsplit(text)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return text.partition("?")[0].rpartition("@")[2]
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return urlunsplit((parts.scheme, f"{host}{port}", parts.path, "", ""))


def is_loopback(host: str) -> bool:
    """Does that name or address of a host lead to this very machine?"""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
