"""What is written about metrics and alerts is all that there is."""

from __future__ import annotations

import re
from typing import Final

from tests.monitoring.test_alerts import ALERTS
from tests.monitoring.tools import ROOT, declared

PAGE: Final = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")


def test_the_page_tells_of_each_series_with_its_type_and_labels():
    """Of all that metrics.py declares, and of nothing else."""
    rows = re.findall(r"^\| `(keywright_\w+)` \| (\w+) \|([^|]*)\| \S.* \|$", PAGE, re.MULTILINE)
    told = {name: (of_type, tuple(re.findall(r"`(\w+)`", labels))) for name, of_type, labels in rows}
    assert len(told) == len(rows), "a series stands twice"
    assert told == declared()


def test_the_page_tells_of_each_alert_with_its_severity():
    """And leads to its runbook."""
    rows = re.findall(r"^\| \[(\w+)\]\(runbooks/\1\.md\) \| (\w+) \| \S.* \|$", PAGE, re.MULTILINE)
    assert dict(rows) == {name: rule["labels"]["severity"] for name, rule in ALERTS.items()}
