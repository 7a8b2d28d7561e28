"""keywright: cert-manager for API keys.

An ApiKey names a workspace, a label and an expiry; the operator issues the key at the platform, writes the one-time
secret into its target, rotates it before expiry and revokes it on deletion. docs/architecture.md draws the rooms.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
