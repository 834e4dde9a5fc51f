"""The story of a run: the steps in order, whatever always comes after them, and the result."""

from kvm_action.lifecycle.story import Collaborators, run

__all__ = ["Collaborators", "run"]
