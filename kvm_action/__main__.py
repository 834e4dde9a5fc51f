"""The door: ``kvm-e2e`` and ``python -m kvm_action``."""

import sys

from kvm_action.cli import main

if __name__ == "__main__":
    sys.exit(main())
