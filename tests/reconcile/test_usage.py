"""What workspaces have used: read only where somebody asked for it, and told only of workspaces that ApiKeys use."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tests.reconcile.world import World

from keywright.ports.issuer import Usage
from keywright.reconcile.usage import UsageReports

if TYPE_CHECKING:
    import pytest

REF = ("KeyIssuer", "search", "mistral")
HOUR = timedelta(hours=1)


async def a_world(*, interval: float | None = 3600.0) -> tuple[World, UsageReports]:
    """One ApiKey in search-prod; the platform reports of that workspace and of another."""
    world = World()
    world.create()
    await world.settle()
    mine, other = world.status().workspace.id, world.platform.workspaces[0].id
    world.platform.usage = [
        Usage(mine.upper(), "completion", "input", 5.0),
        Usage(mine, "chat", "requests", 2.0),
        Usage(other, "completion", "input", 99.0),
    ]
    process = world.process
    reports = UsageReports(
        cluster=world.cluster,
        directory=process.directory,
        metrics=process.metrics,
        monotonic=lambda: world.now.timestamp(),  # noqa: PLW0108 -- the method of one moment would stand still
        interval=interval,
    )
    return world, reports


def shown(world: World) -> dict[tuple[str, str, str], float]:
    """Amounts by workspace, category and measure."""
    [family] = world.process.metrics.usage.collect()
    labels = ("workspace", "category", "measure")
    return {tuple(sample.labels[name] for name in labels): sample.value for sample in family.samples}


async def test_nothing_is_read_unless_asked_for():
    """Off by default: no request, no series."""
    world, reports = await a_world(interval=None)
    world.faults.calm()
    assert await reports.refresh(REF) is None
    assert world.faults.met == []
    assert shown(world) == {}


async def test_only_workspaces_with_an_api_key_are_told_of():
    """By name, whatever case the platform writes ids in; another team's consumption is nobody's business here."""
    world, reports = await a_world()
    assert await reports.refresh(REF) == HOUR
    assert shown(world) == {("search-prod", "completion", "input"): 5.0, ("search-prod", "chat", "requests"): 2.0}


async def test_a_report_is_read_once_an_interval_however_often_it_is_asked_for():
    """One request; and what a report does not name any more, as in a new month, goes."""
    world, reports = await a_world()
    await reports.refresh(REF)
    world.faults.calm()
    world.now += HOUR / 4
    assert await reports.refresh(REF) == HOUR * 3 / 4
    assert world.faults.met == []
    world.now += HOUR
    del world.platform.usage[1:]
    await reports.refresh(REF)
    assert shown(world) == {("search-prod", "completion", "input"): 5.0}
    world.delete_issuer(by_force=True)
    assert await reports.refresh(REF) is None
    assert shown(world) == {}


async def test_a_report_that_cannot_be_read_is_said_once_an_interval(caplog: pytest.LogCaptureFixture):
    """What was shown stays; nothing else suffers."""
    world, reports = await a_world()
    await reports.refresh(REF)
    world.platform.admin_key = "another"
    world.now += HOUR
    assert await reports.refresh(REF) == HOUR
    [said] = caplog.records
    assert (said.levelname, said.issuer, said.namespace) == ("WARNING", "keyissuer/mistral", "search")
    assert len(shown(world)) == 2
