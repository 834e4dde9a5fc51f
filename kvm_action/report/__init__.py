"""Telling what a run found. Made of a result alone: nothing here knows a machine."""

from kvm_action.report.folder import write_reports

__all__ = ["write_reports"]
