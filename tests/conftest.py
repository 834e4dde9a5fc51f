"""Options of the whole suite."""

import pytest
from hypothesis import settings

settings.register_profile("any host", deadline=None)  # a busy host is slow, which is no mistake of the code
settings.load_profile("any host")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--regenerate",
        action="store_true",
        help="write the golden files anew; look at the difference before commit",
    )
