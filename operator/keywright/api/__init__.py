"""The kinds: group keywright.dev, version v1alpha1."""
