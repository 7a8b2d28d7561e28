"""The alert rules: promtool's cases, the metrics they rest on, and the page that each leads to."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.monitoring.tools import ROOT, declared, program, series_named

HERE = Path(__file__).parent
RULES = yaml.safe_load((ROOT / "manifests" / "monitoring" / "alerts.yaml").read_text(encoding="utf-8"))["spec"]
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"]}


@pytest.fixture
def promtool(tmp_path):
    """Runs promtool beside the rules, as Prometheus would read them."""
    executable = program("promtool")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(RULES))
    shutil.copy(HERE / "cases.yaml", tmp_path)

    def run(*arguments):
        done = subprocess.run(
            [executable, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_the_rules_are_rules(promtool):
    """Promtool reads every one."""
    status, said = promtool("check", "rules", "rules.yaml")
    assert status == 0, said
    assert f"{len(ALERTS)} rules found" in said


def test_each_alert_comes_when_it_should_and_only_then(promtool):
    """The cases of cases.yaml, each told in its name."""
    status, said = promtool("test", "rules", "cases.yaml")
    assert status == 0, said
    cases = (HERE / "cases.yaml").read_text(encoding="utf-8")
    for alert in ALERTS:
        assert f"runbook: docs/runbooks/{alert}.md" in cases, f"no case in which {alert} comes"


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_rests_on_series_that_exist(alert):
    """By the names and labels that the operator declares."""
    named = series_named(ALERTS[alert]["expr"])
    assert named
    assert named <= declared().keys()


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_leads_to_a_page(alert):
    """It says what is so, where to look and what to do."""
    page = (ROOT / ALERTS[alert]["annotations"]["runbook"]).read_text(encoding="utf-8")
    assert page.startswith(f"# {alert}\n")
    for heading in ("## What it means", "## Where to look", "## What to do"):
        assert heading in page


def test_no_page_is_left_over():
    """A runbook belongs to an alert."""
    assert {page.stem for page in (ROOT / "docs" / "runbooks").glob("*.md")} == set(ALERTS)
