"""kopf, and nothing else of kopf anywhere."""
