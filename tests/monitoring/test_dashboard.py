"""The dashboard as a file: what Grafana wants of it, and that its queries rest on series that exist."""

from __future__ import annotations

import itertools
import json
import subprocess
from typing import Any

import pytest
import yaml
from tests.monitoring.tools import ROOT, declared, series_named

BOARD: dict[str, Any] = json.loads((ROOT / "manifests" / "monitoring" / "dashboard.json").read_text(encoding="utf-8"))
ROWS = [panel for panel in BOARD["panels"] if panel["type"] == "row"]
PANELS = {panel["title"] + f" ({panel['id']})": panel for panel in BOARD["panels"] if panel["type"] != "row"}
UNITS = {"short", "s", "percentunit", "reqps", "bytes"}


def test_it_has_a_name_of_its_own_and_asks_where_to_look():
    """A fixed uid, so that links last; the data source and the job are variables, so that it fits any Grafana."""
    assert BOARD["uid"] == "keywright"
    assert {v["name"]: v["type"] for v in BOARD["templating"]["list"]} == {"datasource": "datasource", "job": "query"}
    assert "id" not in BOARD
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(ids) == len(set(ids))


def test_the_first_row_says_whether_it_works():
    """At a glance, each with a colour."""
    assert ROWS[0]["title"] == "Is it working?"
    first = [p for p in BOARD["panels"] if ROWS[0]["gridPos"]["y"] < p["gridPos"]["y"] < ROWS[1]["gridPos"]["y"]]
    assert len(first) == 8
    for panel in first:
        assert panel["type"] == "stat"
        assert len(panel["fieldConfig"]["defaults"]["thresholds"]["steps"]) > 1


def test_no_panel_lies_on_another():
    """Each has its place in 24 columns."""
    for panel in BOARD["panels"]:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
    for one, other in itertools.combinations([panel["gridPos"] for panel in BOARD["panels"]], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)


@pytest.mark.parametrize("name", PANELS)
def test_each_panel_can_be_drawn(name: str):
    """It has a unit, and queries of the data source that was chosen, for the job that was chosen, over series that are declared."""
    panel = PANELS[name]
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["datasource"] == {"type": "prometheus", "uid": "$datasource"}
    assert panel["targets"]
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    for target in panel["targets"]:
        assert target["datasource"] == panel["datasource"]
        assert target["expr"].count("{job=~") == target["expr"].count("keywright_") + target["expr"].count("process_")
        assert series_named(target["expr"]) <= declared().keys()


def test_every_series_is_seen_somewhere():
    """What is not shown at 3 a.m. need not be measured."""
    shown = set().union(*(series_named(t["expr"]) for panel in PANELS.values() for t in panel["targets"]))
    assert declared().keys() - shown == set()


def test_it_is_installed_with_the_rules_and_the_pods_are_scraped():
    """By kubectl apply -k manifests/monitoring: three objects, the dashboard in one that Grafana's sidecar finds."""
    done = subprocess.run(
        ("kubectl", "kustomize", str(ROOT / "manifests" / "monitoring")), capture_output=True, text=True, check=True
    )
    objects = {each["kind"]: each for each in yaml.safe_load_all(done.stdout)}
    assert objects.keys() == {"ConfigMap", "PodMonitor", "PrometheusRule"}
    assert objects["ConfigMap"]["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(objects["ConfigMap"]["data"]["dashboard.json"]) == BOARD
    deployment = yaml.safe_load((ROOT / "manifests" / "deployment.yaml").read_text(encoding="utf-8"))
    wanted = objects["PodMonitor"]["spec"]["selector"]["matchLabels"].items()
    assert wanted <= deployment["spec"]["template"]["metadata"]["labels"].items()
    ports = [port["name"] for port in deployment["spec"]["template"]["spec"]["containers"][0]["ports"]]
    assert objects["PodMonitor"]["spec"]["podMetricsEndpoints"][0]["port"] in ports
