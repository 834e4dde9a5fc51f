"""Each format as it was when somebody last looked at it (``pytest --regenerate`` writes it anew)."""

from collections.abc import Callable

import pytest
import samples
from golden_files import assert_golden

from kvm_action.report.ctrf import ctrf
from kvm_action.report.junit import junit
from kvm_action.report.markdown import markdown
from kvm_action.results import RunResult

FORMATS = {"md": markdown, "junit.xml": junit, "ctrf.json": ctrf}
RUNS = [
    samples.passed_run,
    samples.failed_provision_run,
    samples.failed_check_run,
    samples.sectioned_run,
    samples.stuck_boot_run,
]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("sample", RUNS, ids=lambda run: run.__name__)
def test_a_report_reads_as_before(
    sample: Callable[[], RunResult], suffix: str, request: pytest.FixtureRequest
) -> None:
    text = FORMATS[suffix](sample())
    assert_golden(f"{sample.__name__}.{suffix}", text, request.config.getoption("--regenerate"))
