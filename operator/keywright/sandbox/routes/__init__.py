"""The operations, one file per subject. A handler reads its request, makes one call to the store, and answers."""
