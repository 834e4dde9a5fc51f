"""`kvm-e2e image build`: an image by one of the methods, tuned by options that belong to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import click

from kvm_action.backends.installing import Wish, install
from kvm_action.cli.image.shown import say, store_of_user, tell_made
from kvm_action.cli.options import choice
from kvm_action.errors import ImageError, PlanError
from kvm_action.images import bootstrap, cloud, mirror
from kvm_action.images.model import Firmware, Image
from kvm_action.images.presets import PRESETS
from kvm_action.images.recipe_file import is_recipe_file, load_recipe
from kvm_action.images.recipes import RECIPES, Recipe, Tuning, read_script, tuned
from kvm_action.images.reference import require_name, unknown
from kvm_action.interruption import interruptible
from kvm_action.paths import Home
from kvm_action.plan.model import Accel
from kvm_action.units import parse_size


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the user asked for; ``options`` are those of one method that were given."""

    name: str
    recipe: Recipe | None = None
    """When it came from a file."""
    called: str
    force: bool
    options: Mapping[str, object]


def _bootstrap(asked: Asked) -> Image:
    options, recipe = asked.options, _recipe(asked, "bootstrap")
    size, script, firmware = options.get("size"), options.get("script"), options.get("firmware")
    tuning = Tuning(
        packages=tuple(map(str, _several(options.get("package")))),
        disk_bytes=_size(str(size)) if size else None,
        firmware=Firmware(str(firmware)) if firmware else None,
        script=read_script(Path(str(script))) if script else None,
    )
    order = bootstrap.Order(recipe=tuned(recipe, tuning), name=asked.called, mirror=_mirror(options))
    return bootstrap.build(store_of_user(), order, say, force=asked.force)


def _recipe(asked: Asked, method: str) -> Recipe:
    if recipe := asked.recipe or RECIPES.get(asked.name):
        return recipe
    if asked.name in PRESETS:
        raise ImageError(
            f"the method {method} makes {' and '.join(RECIPES)} only; {asked.name} is a cloud image",
            hint=f"kvm-e2e image build {asked.name}",
        )
    raise unknown(asked.name, [])


def _mirror(options: Mapping[str, object]) -> mirror.Mirror | None:
    main, security = (str(options.get(name) or "") for name in ("mirror", "security_mirror"))
    if security and not main:
        raise PlanError("--security-mirror goes with --mirror", hint="give both, or --mirror alone")
    return mirror.of_user(main, security) if main else mirror.of_this_host()


def _cloud(asked: Asked) -> Image:
    if (wanted := PRESETS.get(asked.name)) is None:
        raise PlanError(
            f"there is no cloud image {asked.name}",
            hint=f"there are: {', '.join(PRESETS)}; any other: kvm-e2e image import URL --checksums URL",
        )
    url, listing = asked.options.get("url"), asked.options.get("checksums")
    if bool(url) != bool(listing):
        raise PlanError("--url and --checksums belong together", hint="give both, or neither")
    elsewhere = replace(wanted, url=str(url or wanted.url), checksums=str(listing or wanted.checksums))
    downloads = Home.from_environ().cache / "downloads"
    return cloud.build(store_of_user(), replace(elsewhere, name=asked.called), downloads, say, force=asked.force)


def _installer(asked: Asked) -> Image:
    options, recipe, home = asked.options, _recipe(asked, "installer"), Home.from_environ()
    if recipe.script or recipe.firmware is not Firmware.BIOS:
        raise PlanError(f"the installer takes neither a script nor firmware: uefi, as {asked.name} has it")
    size, preseed, disc = options.get("size"), options.get("preseed"), options.get("iso")
    tuning = Tuning(
        packages=tuple(map(str, _several(options.get("package")))), disk_bytes=_size(str(size)) if size else None
    )
    wish = Wish(
        recipe=tuned(recipe, tuning),
        name=asked.called,
        mirror=_mirror(options),
        preseed=Path(str(preseed)) if preseed else None,
        disc=Path(str(disc)) if disc else None,
        accel=Accel(str(options.get("accel") or Accel.AUTO)),
    )
    return install(store_of_user(), home.runs, wish, say, force=asked.force)


METHODS: Final[Mapping[str, Callable[[Asked], Image]]] = {
    "bootstrap": _bootstrap,
    "cloud": _cloud,
    "installer": _installer,
}
_OPTIONS: Final = {
    "bootstrap": ("package", "size", "firmware", "script", "mirror", "security_mirror"),
    "cloud": ("url", "checksums"),
    "installer": ("package", "size", "mirror", "security_mirror", "preseed", "iso", "accel"),
}


@click.command()
@click.argument("name", metavar="[NAME|RECIPE.yml]", default=next(iter(RECIPES)))
@click.option("--method", type=click.Choice(list(METHODS)), help="How; by default what NAME says.")
@click.option("--as", "called", metavar="NAME", help="What plans will call it, if not NAME.")
@click.option("--force", is_flag=True, help="Make it again even when it is there.")
@click.option(
    "--package", multiple=True, metavar="DEB", help="bootstrap, installer: one more package; may be repeated."
)
@click.option(
    "--size", metavar="SIZE", help="bootstrap, installer: the disk, 4GiB by default; the guest grows it."
)
@click.option("--firmware", type=choice(Firmware), help="bootstrap: bios (default), uefi.")
@click.option(
    "--script", metavar="FILE", help="bootstrap: a script of yours that is run in the new system, as root."
)
@click.option(
    "--mirror", metavar="URL", help="bootstrap, installer: Debian mirror, instead of that of this host's apt."
)
@click.option(
    "--security-mirror",
    metavar="URL",
    help="bootstrap, installer: the archive of security updates that belongs to it.",
)
@click.option("--url", metavar="URL", help="cloud: the image at another address, such as your own mirror.")
@click.option("--checksums", metavar="FILE|URL", help="cloud: the list of checksums that belongs to --url.")
@click.option("--preseed", metavar="FILE", help="installer: answers of your own, instead of ours.")
@click.option("--iso", metavar="FILE", help="installer: Debian's netinst ISO, instead of its netboot package.")
@click.option("--accel", type=choice(Accel), help="installer: KVM or emulation; found out by default.")
def build(name: str, method: str | None, called: str | None, *, force: bool, **options: object) -> None:
    """Make an image, without root: one that has a name here, or one of your own recipe.

    \b
    bootstrap  from Debian's packages: debian-13 (the default), debian-12
    installer  by Debian's own installer, which takes long: debian-13, debian-12
    cloud      what its distribution publishes: debian-13-cloud, debian-12-cloud,
               ubuntu-24.04-cloud, ubuntu-22.04-cloud
    """
    chosen = method or ("cloud" if name in PRESETS else "bootstrap")
    own = load_recipe(Path(name)) if is_recipe_file(name) else None
    asked = Asked(
        name=name,
        recipe=own.recipe if own else None,
        called=called or (own.name if own else name),
        force=force,
        options=_given(chosen, options),
    )
    require_name(asked.called)
    with interruptible():
        image = METHODS[chosen](asked)
    tell_made(image)


def _given(method: str, options: Mapping[str, object]) -> Mapping[str, object]:
    """The options that were given. Raises PlanError for one that the method does not have."""
    given = {name: value for name, value in options.items() if value}
    if foreign := sorted(given.keys() - set(_OPTIONS[method])):
        words = ", ".join(f"--{name.replace('_', '-')}" for name in foreign)
        raise PlanError(f"the method {method} has no {words}", hint="see `kvm-e2e image build --help`")
    return given


def _several(value: object) -> tuple[object, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else ()


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise PlanError(f"--size: {error}", hint="write it as 8GiB or 6000MiB") from error
