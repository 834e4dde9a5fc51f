"""Containers by the Docker SDK, the only door to it. Knows no plan, no image store and no virtual machine."""
