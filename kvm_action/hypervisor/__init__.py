"""Virtual machines through libvirt: the only package that imports it. Knows nothing of images, seeds or SSH."""
