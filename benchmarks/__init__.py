"""Benchmarks of the tool against what it is measured by, both in one run: `make bench`."""
