"""The loop: observe once, plan, take one step, say so in the status."""
