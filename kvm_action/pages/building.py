"""Making the site by mkdocs: the folder's own mkdocs.yml, or, where there is none, ours with the history alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mkdocs.commands import build, serve
from mkdocs.config import load_config
from mkdocs.exceptions import Abort, MkDocsException

from kvm_action.errors import HostError, PlanError

OURS: Final = Path(__file__).parent / "mkdocs.yml"
PLUGIN: Final = "kvm-e2e"


def build_site(config_file: Path, out: Path | None, *, strict: bool = False) -> Path:
    """Make the site; returns its folder. Raises PlanError when its configuration or a page is wrong."""
    if out is None and config_file == OURS:
        out = Path("_site")  # mkdocs takes a folder beside the configuration, which here is inside the package
    wanted = {"site_dir": str(out.absolute())} if out else {}
    with _errors_of_ours(config_file):
        config = load_config(str(config_file), strict=strict, **wanted)
        if PLUGIN not in config.plugins:
            raise PlanError(f"{config_file} does not use our plugin", f"add `- {PLUGIN}` to its list of plugins")
        config.plugins.on_startup(command="build", dirty=False)
        build.build(config)
        config.plugins.on_shutdown()
        return Path(config.site_dir)


def serve_site(config_file: Path, address: str) -> None:
    """Show the site on ``address`` and make it again when something changes, until interrupted."""
    with _errors_of_ours(config_file):
        serve.serve(str(config_file), dev_addr=address)


def configuration(folder: Path) -> Path:
    """The mkdocs.yml of ``folder``, or ours."""
    own = folder / "mkdocs.yml"
    return own if own.is_file() else OURS


@contextmanager
def _errors_of_ours(config_file: Path) -> Iterator[None]:
    try:
        yield
    except (Abort, MkDocsException) as error:
        raise PlanError(
            f"the site of {config_file} could not be made: {error}", "mend what is said above"
        ) from error
    except OSError as error:
        raise HostError(f"the site could not be made: {error}") from error
