"""T1 and T3 on the real plane: operator and platform on a clock that goes past an expiry and back, or a week on at once.

A name that rests is looked at again after a quarter of an hour at the latest; here a label that means nothing wakes it.
"""

from __future__ import annotations

import os
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import ROOT
from tests.e2e.shifted import AHEAD
from tests.e2e.team import Team
from tests.running import Operator, Sandbox, wait_for

from keywright.devcluster import write_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Plane

pytestmark = [pytest.mark.plane, pytest.mark.xdist_group("ends")]

MODULE = "tests.e2e.shifted"
KEYS = 30
PER_SECOND = 2


class ShiftedSandbox(Sandbox):
    """On the set clock."""

    module = MODULE


class ShiftedOperator(Operator):
    """On the set clock."""

    module = MODULE

    def passes(self) -> float:
        """How many passes over ApiKeys it has made."""
        return sum(value for _, value in self.series("keywright_reconcile_duration_seconds_count"))


class Traveller(Team):
    """A namespace with an operator of its own, a platform of its own, and the clock of both."""

    def __init__(self, plane: Plane, namespace: str, folder: Path) -> None:
        self.file = folder / "ahead"
        self.go_to()
        path = os.pathsep.join((str(ROOT / "operator"), str(ROOT)))
        environ = {"PYTHONPATH": path, AHEAD: str(self.file)}
        sandbox = ShiftedSandbox(folder / "sandbox")
        kubeconfig = folder / "kubeconfig"
        token = plane.token_of("keywright-system", "keywright")
        write_kubeconfig(kubeconfig, server=plane.server, ca_file=plane.ca_file, token=token)
        scope = ("--namespace", namespace, "--cluster-id", namespace[-8:])
        self.served_by = ShiftedOperator(folder / "operator", kubeconfig, *scope, "--min-interval", "1s")
        for program in (sandbox, self.served_by):
            program.environ = environ
        sandbox.start()
        super().__init__(plane, sandbox, namespace, self.served_by)
        self._looks = 0

    def go_to(self, *, days: float = 0) -> None:
        """Set the clock to so many days after the test's own."""
        new = self.file.with_suffix(".new")
        new.write_text(str(days * 86400), encoding="ascii")
        new.rename(self.file)

    def look(self, name: str = "search") -> None:
        """Have the operator look at an ApiKey three times; returns when it has."""
        for _ in range(3):
            before = self.served_by.passes()
            self._looks += 1
            self.patch(name, {"metadata": {"labels": {"looks": str(self._looks)}}})
            wait_for(lambda before=before: self.served_by.passes() > before, f"{name} was looked at")

    def made(self) -> list[dict[str, Any]]:
        """What the platform's own log says of each key that was made, in order."""
        query = "sort=ascending&limit=1000&event_type=api_key.create"
        status, entries = self.sandbox.call("GET", f"/v1/admin/audit-logs?{query}")
        assert status == 200, status
        return entries


@pytest.fixture
def traveller(plane: Plane, namespace: str, tmp_path: Path) -> Iterator[Traveller]:
    """With an admin key, and no operator yet."""
    traveller = Traveller(plane, namespace, tmp_path)
    traveller.create_admin_secret()
    yield traveller
    assert traveller.served_by.stop() == 0
    assert "Traceback" not in traveller.served_by.said()
    traveller.sandbox.stop()


def test_a_clock_past_an_expiry_and_back(traveller: Traveller):
    """Renewed when its time comes, replaced where it expired; a clock that goes back asks for nothing and ends nothing."""
    traveller.create_issuer()
    traveller.create(expiry={"validity": "30d"})
    traveller.served_by.start()
    status = traveller.ready()
    first = traveller.text()
    renewed, issued = (datetime.fromisoformat(status[field]) for field in ("renewalTime", "issuedAt"))
    due = (renewed - issued) / timedelta(days=1)
    assert 16 < due < 20, "two thirds of its life, less up to a tenth of it"

    traveller.go_to(days=due - 0.1)
    traveller.look()
    assert len(traveller.made()) == 1, "it is not due"

    traveller.go_to(days=due + 0.1)
    traveller.look()
    status = traveller.ready(revision=2)
    assert [entry["keyId"] for entry in status["previous"]], "the overlap has begun"
    second = traveller.text()
    assert traveller.sandbox.accepts(first)
    assert traveller.sandbox.accepts(second)

    traveller.go_to(days=23)
    traveller.look()
    wait_for(lambda: not traveller.sandbox.accepts(first), "the overlap ends the old key")
    assert traveller.sandbox.accepts(second)
    assert len(traveller.made()) == 2

    traveller.served_by.stop()
    traveller.go_to(days=70)
    assert not traveller.sandbox.accepts(second), "it expired while nobody was there"
    traveller.served_by.start()
    traveller.ready(revision=3)
    # Where the clock goes back before the second has ended, its end is in the future once more.
    wait_for(lambda: "previous" not in traveller.status(), "the second is no longer named")
    third = traveller.text()
    assert traveller.sandbox.accepts(third)
    assert len(traveller.made()) == 3

    for days in (69.9, 23, 0):
        traveller.go_to(days=days)
        traveller.look()
    traveller.served_by.stop()
    traveller.served_by.start()
    traveller.look()
    assert len(traveller.made()) == 3, "a clock that went back is no reason for a key"
    assert traveller.text() == third
    assert traveller.sandbox.accepts(third)
    [living] = traveller.live_keys()
    assert living["key_id"] == traveller.ready(revision=3)["keyId"]

    traveller.go_to(days=91)
    traveller.look()
    traveller.ready(revision=4)
    traveller.look()
    assert len(traveller.made()) == 4
    assert traveller.sandbox.accepts(third), "and its overlap lasts"


def test_a_week_away_nearest_expiry_first_within_the_budget(traveller: Traveller):
    """Thirty overdue keys, one of them said to be compromised: in the order of their last days, at the agreed rate, none twice."""
    traveller.create_issuer()
    validities = {f"key-{i:02}": 10 + i * 7 % KEYS for i in range(KEYS)}  # in no order
    for name, days in validities.items():
        traveller.create(name, expiry={"validity": f"{days}d"}, rotation={"renewBefore": f"{days - 5}d"})
    traveller.served_by.start()
    for name in validities:
        traveller.ready(name)
    assert len(traveller.made()) == KEYS
    traveller.served_by.stop()

    traveller.go_to(days=7)
    leaked = max(validities, key=validities.__getitem__)
    traveller.annotate(leaked, compromised="yes")
    traveller.patch_issuer({"spec": {"requests": {"perSecond": PER_SECOND, "burst": 1}}})
    traveller.served_by.start()
    for name in validities:
        traveller.ready(name, revision=2)
    traveller.look(leaked)

    made = traveller.made()[KEYS:]
    names = [re.match(r".*/(key-\d+) \[kw/", entry["target_metadata"]["name"])[1] for entry in made]
    assert sorted(names) == sorted(validities), "one key each"
    # All thirty are begun at once, and each needs some writes before its turn: a few may be there too early, for as many seconds.
    assert leaked in names[:5]
    days = [validities[name] for name in names[5:] if name != leaked]
    assert days == sorted(days)
    # Each key is tried once, which takes as many requests again: what bunches up before a busy platform does not count.
    first, last = (datetime.fromisoformat(made[i]["created_at"]) for i in (0, -1))
    assert (last - first).total_seconds() >= (KEYS - 1) / PER_SECOND
