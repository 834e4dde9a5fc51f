"""The domains that we ask for, by libvirt's own schema of this host."""

from pathlib import Path

import pytest
from golden_files import FOLDER
from lxml import etree

SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not SCHEMA.exists(), reason="no schemas of libvirt here"),
]


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("domain_*.xml")))
def test_libvirt_knows_every_element_and_attribute_of_a_machine(name: str) -> None:
    schema = etree.RelaxNG(etree.parse(SCHEMA))
    schema.assertValid(etree.parse(FOLDER / name))


def test_the_schema_would_notice_a_mistake() -> None:
    wrong = (FOLDER / "domain_tuned.xml").read_bytes().replace(b"io='native'", b"io='natif'")
    assert not etree.RelaxNG(etree.parse(SCHEMA)).validate(etree.fromstring(wrong))
