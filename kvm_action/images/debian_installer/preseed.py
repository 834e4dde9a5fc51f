"""The installer's answers: ours, or a user's own; checked before anything boots."""

import hashlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from kvm_action import proc
from kvm_action.errors import ImageError, PlanError
from kvm_action.images.mirror import Mirror
from kvm_action.images.recipes import Recipe

_OURS: Final = Path(__file__).parent / "files" / "preseed.cfg"
_OF_THE_DISK: Final = frozenset(
    {"linux-image-cloud-amd64", "initramfs-tools", "zstd", "grub-pc-bin", "grub2-common"}
)
"""What the installer chooses by itself: kernel, initramfs and boot loader."""

_AT_THE_END: Final = frozenset({"systemd-resolved"})
"""It takes the name servers away, which the installer's later steps need; our own last script adds it."""

_ALWAYS: Final = """
# kvm-e2e: the machine ends when the installation does.
d-i debian-installer/exit/poweroff boolean true
d-i finish-install/reboot_in_progress note
"""


@dataclass(frozen=True)
class Preseed:
    """The text as the installer reads it; ``name`` is what to call it in a message."""

    name: str
    text: str

    @property
    def sha256(self) -> str:
        """Of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def packages_for(recipe: Recipe) -> tuple[str, ...]:
    """The packages that an image has besides what the installer chooses."""
    return tuple(name for name in recipe.packages if name not in _OF_THE_DISK)


def default_preseed(recipe: Recipe, mirror: Mirror) -> Preseed:
    """Our own answers, with the host's mirror."""
    main, security = urlsplit(mirror.main), urlsplit(mirror.security)
    values = {
        "PROTOCOL": main.scheme,
        "HOST": main.netloc,
        "DIRECTORY": main.path.rstrip("/") or "/",
        "SUITE": recipe.suite,
        "SERVICES": "security, updates" if mirror.security else "updates",
        "SECURITY_HOST": security.netloc,
        "SECURITY_DIRECTORY": security.path.rstrip("/"),
        "PACKAGES": " ".join(name for name in packages_for(recipe) if name not in _AT_THE_END),
    }
    filled = re.sub(r"@([A-Z_]+)@", lambda found: values.get(found[1], found[0]), _OURS.read_text())
    return Preseed("the default preseed", filled + _ALWAYS)


def own_preseed(path: Path) -> Preseed:
    """A user's own answers, which are then the whole of it. Raises PlanError when it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(
            f"the preseed {path} cannot be read: {error}", hint="--preseed takes a text file"
        ) from error
    if not re.search(r"^\s*[^#\s]\S*\s+\S+\s+\S+", text, re.MULTILINE):
        raise PlanError(f"the preseed {path} answers nothing", _FORM)
    if wrong := mistakes(path):
        raise PlanError(f"the preseed {path} is wrong: {'; '.join(wrong)}", hint=_FORM)
    return Preseed(str(path), text.rstrip("\n") + "\n" + _ALWAYS)


_FORM: Final = "a line has an owner, a question, a type and a value: d-i time/zone string Etc/UTC"
_SAID: Final = re.compile(r"^(?:error|warning): (.*)$", re.MULTILINE)


def mistakes(path: Path) -> list[str]:
    """What debconf has against the file. Where there is no debconf, the installer itself will notice."""
    if not shutil.which("debconf-set-selections"):
        return []
    done = proc.run(["debconf-set-selections", "--checkonly", path], environment={"LC_ALL": "C"})
    found = [str(line) for line in _SAID.findall(done.stderr)]
    return found or ([done.last_words] if not done.ok else [])


def unknown_mirror(recipe: Recipe) -> ImageError:
    """The error where no mirror is known that the installer could be told."""
    return ImageError(
        f"the installer of {recipe.name} needs a mirror, and this host's apt has none of Debian's",
        hint="name one: --mirror URL; or give an ISO file and a preseed that names one: --iso FILE --preseed FILE",
    )
