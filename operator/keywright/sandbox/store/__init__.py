"""What the platform remembers, in one SQLite file.

Statements are plain functions of a connection, one module per subject; `Store` says on which connection and when they
run. Plaintext never comes here but to be hashed.
"""

from keywright.sandbox.store.database import DataFileError
from keywright.sandbox.store.ledger import Store
from keywright.sandbox.store.outcomes import NotAllowedError, NotFoundError

__all__ = ["DataFileError", "NotAllowedError", "NotFoundError", "Store"]
