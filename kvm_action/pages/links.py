"""Where things are on the site, and which addresses of strangers may be linked."""

import re
from hashlib import sha256
from typing import Final

from kvm_action.history.record import Record

_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
_WEB: Final = re.compile(r"https?://[^\s<>\"'`\\]+")


def run_page(record: Record) -> str:
    """The run's page, from the site's root."""
    return f"runs/{slug(record.key)}.html"


def slug(key: str) -> str:
    """A file name for a key, which is the name of a file that anybody may have put into the history."""
    return key if _PLAIN.fullmatch(key) else f"file-{sha256(key.encode(errors='replace')).hexdigest()[:16]}"


def web_address(text: str) -> str:
    """``text`` if it is an address on the web, else nothing: ``javascript:`` and its kin are no links."""
    return text if _WEB.fullmatch(text) else ""
