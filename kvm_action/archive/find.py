"""The shell command that sends what matches a glob as a tar stream. A pure computation."""

from shlex import quote
from typing import Final

_GLOB: Final = set("*?[")
_SPECIAL: Final = set(r"\.^$+(){}|*?[]")


def find_command(pattern: str) -> str:
    """Find files by an absolute glob and pack them, the smallest first, so that a limit cuts the largest.

    ``*`` and ``?`` stay within a folder, ``**`` does not, hidden files match like others; a folder that matches
    is taken with all below it, and a link that the search begins at is followed. Needs GNU find, sort and tar in
    the guest. Nothing found is an empty archive.
    """
    return (
        f"find -H {quote(_base(pattern))} -regextype posix-extended -regex {quote(_regex(pattern))}"
        r" \( -type f -o -type l \) -printf '%s %p\0' 2>/dev/null"
        " | sort -zn | cut -z -d ' ' -f 2-"
        " | tar --create --file=- --format=gnu --hard-dereference --no-recursion"
        " --null --verbatim-files-from --files-from=-"
    )


def _base(pattern: str) -> str:
    """The deepest folder that everything that can match lies in: where the search begins."""
    parts = pattern.split("/")
    fixed = next((i for i, part in enumerate(parts) if _GLOB & set(part)), len(parts))
    return "/".join(parts[:fixed]) or "/"


def _regex(pattern: str) -> str:
    """An extended regular expression for the whole path, and for what lies below a folder that matches."""
    parts = []
    position = 0
    pattern = pattern.rstrip("/")
    while position < len(pattern):
        text, length = _piece(pattern, position)
        parts.append(text)
        position += length
    return f"{''.join(parts)}(/.*)?"


def _piece(pattern: str, position: int) -> tuple[str, int]:
    """The expression for what stands at ``position``, and how many letters it took."""
    rest = pattern[position:]
    if rest.startswith("**/"):
        return "(.*/)?", 3
    if rest.startswith("**"):
        return ".*", 2
    if rest[0] in "*?":
        return ("[^/]*" if rest[0] == "*" else "[^/]"), 1
    if rest[0] == "[" and (end := rest.find("]", 2)) > 0:
        inside = rest[1:end]
        return f"[{'^' + inside[1:] if inside[0] == '!' else inside}]", end + 1
    return (f"\\{rest[0]}" if rest[0] in _SPECIAL else rest[0]), 1
