"""Pure decisions: what to do next, from what is wanted and what is there. No I/O, no clock, no randomness."""
