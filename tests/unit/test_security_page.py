"""SECURITY.md promises nothing that no test holds."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text()


def test_every_link_of_the_page_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)", PAGE)
    assert len(links) > 20
    assert not [link for link in links if not (ROOT / link).is_file()]


def test_every_promise_names_a_test() -> None:
    table = PAGE.split("## What is promised")[1].split("## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and not line.startswith("| promise")]
    assert len(rows) > 10
    assert all("(tests/" in row for row in rows)


def test_the_limits_it_names_are_those_of_the_code() -> None:
    from kvm_action import output
    from kvm_action.backends import boot_watch

    assert f"{output.FILE_LIMIT >> 20} MiB of a script's output" in PAGE
    assert f"{boot_watch.FILE_LIMIT >> 20} MiB of the console" in PAGE
