"""One outside client per module; siblings do not import each other."""
