"""The shell command that takes a tar stream in, in the guest. A pure computation."""

from pathlib import PurePosixPath
from shlex import quote
from typing import Final

_TAR: Final = "tar --extract --file=- --same-permissions --no-overwrite-dir --directory"


def unpack_command(to: str, *, file: str, owner: tuple[int, int]) -> tuple[str, str]:
    """A command that unpacks its standard input at ``to``, and the name to pack a single file under.

    ``file`` is that file's own name, empty for a folder, whose content goes into ``to``; a file becomes ``to``, or
    goes into it under its own name when ``to`` ends with a slash. Folders are made; where the user may not write,
    sudo does, and the files still belong to ``owner``. The modes of folders that exist already are left alone.
    Needs GNU tar in the guest.
    """
    folder, name = (to, file) if not file or to.endswith("/") else _split(to)
    guard = _refuse_folder(to) if folder != to else ""
    return guard + _unpack_into(quote(folder), f"{owner[0]}:{owner[1]}"), name


def _split(path: str) -> tuple[str, str]:
    pure = PurePosixPath(path)
    return str(pure.parent), pure.name


def _refuse_folder(path: str) -> str:
    words = f"{path} is a folder there; write {path}/ to put the file into it"
    return f"if [ -d {quote(path)} ]; then echo {quote(words)} >&2; exit 1; fi\n"


def _unpack_into(folder: str, owner: str) -> str:
    return f"""\
if [ ! -e {folder} ]; then
    said=$(mkdir -p -- {folder} 2>&1) ||
        {{ sudo -n mkdir -p -- {folder} && sudo -n chown {owner} -- {folder}; }} 2>/dev/null ||
        {{ echo "$said" >&2; exit 1; }}
fi
if [ -w {folder} ]; then
    exec {_TAR} {folder} --no-same-owner
else
    exec sudo -n {_TAR} {folder} --same-owner --numeric-owner
fi"""
