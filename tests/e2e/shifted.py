"""keywright with a clock that a test sets: as many seconds ahead of the machine's as stand in a file, at each look anew.

Arguments are keywright's own. The places that read the time of day are replaced: bootstrap's, the commands', and the sandbox's store's.
What counts seconds (deadlines, the request budget, the lease) goes by the loop's clock and goes on as it is: jumps are no pauses.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from keywright import bootstrap, errands
from keywright.cli import main
from keywright.sandbox.store import Store

AHEAD = "KEYWRIGHT_TEST_AHEAD"
"""The environment variable that names the file."""


def now() -> datetime:
    """The machine's time, and the file's seconds on top."""
    return datetime.now(UTC) + timedelta(seconds=float(Path(os.environ[AHEAD]).read_text(encoding="ascii")))


if __name__ == "__main__":
    bootstrap._now = errands._now = now
    Store.open.__func__.__kwdefaults__["clock"] = now
    main()
