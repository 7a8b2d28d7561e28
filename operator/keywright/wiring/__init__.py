"""kopf, and nothing else of kopf anywhere: watch and enqueue, log-in, start-up and shut-down, probes."""
