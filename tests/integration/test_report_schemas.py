"""junit.xml and ctrf.json are what other programs expect: valid by the schemas that others have published."""

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import samples
from lxml import etree
from published_schemas import ANT, CTRF, JENKINS, fetch_schemas

from kvm_action.report.ctrf import ctrf
from kvm_action.report.junit import junit
from kvm_action.results import RunResult

pytestmark = pytest.mark.integration
every_run = pytest.mark.parametrize(
    "sample",
    [
        samples.passed_run,
        samples.failed_provision_run,
        samples.failed_check_run,
        samples.stuck_boot_run,
        samples.interrupted_run,
        samples.plan_error_run,
        samples.hostile_run,
        samples.large_run,
    ],
    ids=lambda sample: sample.__name__,
)


@pytest.fixture(scope="session")
def schemas(request: pytest.FixtureRequest) -> Path:
    return fetch_schemas(request.config.cache.mkdir("published-schemas"))


@every_run
def test_ctrf_is_valid(sample: Callable[[], RunResult], schemas: Path) -> None:
    schema = json.loads((schemas / CTRF).read_text())
    checker = jsonschema.Draft7Validator.FORMAT_CHECKER
    jsonschema.Draft7Validator(schema, format_checker=checker).validate(json.loads(ctrf(sample())))


@every_run
def test_junit_is_valid_for_jenkins(sample: Callable[[], RunResult], schemas: Path) -> None:
    etree.XMLSchema(file=schemas / JENKINS).assertValid(etree.fromstring(junit(sample()).encode()))


@every_run
def test_junit_is_valid_for_ant(sample: Callable[[], RunResult], schemas: Path) -> None:
    """Ant's schema knows no skipped tests; all else of it holds."""
    document = etree.fromstring(junit(sample()).encode())
    etree.strip_elements(document, "skipped")
    for suite in document:
        del suite.attrib["skipped"]
    etree.XMLSchema(file=schemas / ANT).assertValid(document)
