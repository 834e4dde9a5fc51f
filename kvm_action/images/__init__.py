"""Base images: the store, and the recipes that fill it. Knows no machine, no seed and no libvirt."""
