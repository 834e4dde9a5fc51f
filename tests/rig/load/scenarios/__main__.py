"""`python3 -m scenarios PLACE NAME`: plays one, prints a line of evidence, exits 1 if something does not hold."""

import subprocess
import sys
from collections.abc import Callable

from scenarios import ends, runs
from scenarios.place import PLACES, Place, UnmetError, is_true_within

SCENARIOS: dict[str, Callable[[Place], str]] = {
    "doctor": runs.doctor,
    "boot": runs.boot,
    "template": runs.template,
    "template-again": runs.template_again,
    "restore": runs.restore,
    "clones": ends.clones,
    "cancel": ends.cancel,
    "kill": ends.kill,
}


def new_since(before: dict[str, list[str]], now: dict[str, list[str]]) -> dict[str, list[str]]:
    """What is there now and was not before. What an earlier scenario left, and this one's `reap` took, is not."""
    new = {kind: sorted(set(found) - set(before[kind])) for kind, found in now.items()}
    return {kind: found for kind, found in new.items() if found}


def main(place: Place, name: str) -> int:
    """Play it, and compare what is there before and after."""
    try:
        before = place.holdings()
        evidence = SCENARIOS[name](place)
        if not is_true_within(20, lambda: not new_since(before, place.holdings())):
            raise UnmetError(f"left behind: {new_since(before, place.holdings())}")
    except (UnmetError, subprocess.SubprocessError, OSError) as error:
        print(f"{place.name}, {name}: {error}")
        return 1
    print(f"{place.name}, {name}: {evidence}; nothing left behind")
    return 0


if __name__ == "__main__":
    sys.exit(main(PLACES[sys.argv[1]], sys.argv[2]))
