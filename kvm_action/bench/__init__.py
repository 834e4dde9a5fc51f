"""Measuring: what a run costs, how sure that figure is, and how two series differ."""
