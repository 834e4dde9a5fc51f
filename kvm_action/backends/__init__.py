"""Ways to make machines: one module each, imported only when it is used."""
