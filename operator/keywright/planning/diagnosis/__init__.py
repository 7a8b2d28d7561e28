"""What `keywright doctor` makes of what it has read: one module for each thing that is looked at. Pure."""
