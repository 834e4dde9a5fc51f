"""Which of the host's archives becomes the mirror of images."""

import pytest

from kvm_action.images.mirror import Mirror, choose

DEBIAN = "https://archive.example/debian/"


def target(address: str, suite: str = "bookworm", origin: str = "Debian", component: str = "main") -> str:
    return f"{address}|{suite}|{component}|{origin}\n"


def test_debians_own_archives_of_the_hosts_suite_are_chosen() -> None:
    printed = (
        target("https://elsewhere.example/tools", origin="Elsewhere")
        + target(DEBIAN, component="contrib")
        + target(DEBIAN)
        + target("https://archive.example/debian-security/", suite="bookworm-security")
    )
    assert choose(printed, "bookworm") == Mirror(main=DEBIAN, security="https://archive.example/debian-security/")
    assert choose(printed, "trixie") is None


@pytest.mark.parametrize("host", ["127.0.0.1:3142", "localhost:3142", "[::1]:3142", "127.0.1.1"])
def test_one_on_loopback_is_none_since_in_a_guest_that_leads_to_the_guest(host: str) -> None:
    assert choose(target(f"http://{host}/debian/"), "bookworm") is None
    assert choose(target(f"http://{host}/debian/") + target(DEBIAN), "bookworm") == Mirror(main=DEBIAN)
