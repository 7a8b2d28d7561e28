"""Scenarios that mostly wait, played at the same time: each in a namespace of its own, each a test of its own.

A scenario is a function over a Team, which has an admin key and a KeyIssuer unless it wants nothing. The first test
that asks for an outcome starts all scenarios that were selected.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.e2e.team import Team

if TYPE_CHECKING:
    import pytest
    from tests.conftest import Plane
    from tests.running import Operator, Sandbox

__all__ = ["Scenarios"]

Play = Callable[[Team], None]

AT_ONCE = 12
"""Scenarios at once: they wait most of the time."""


class Scenarios:
    """A module's scenarios; `@scenarios` collects one, `@scenarios.of(…)` one for each case."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        """`at_once`: how many are played at the same time."""
        self._at_once = at_once
        self._all: dict[str, tuple[Play, bool]] = {}
        self._playing: dict[str, Future[None]] = {}

    def __call__(self, play: Play) -> Play:
        """Collect a scenario that finds a KeyIssuer."""
        self._all[play.__name__] = (play, True)
        return play

    def without_issuer(self, play: Play) -> Play:
        """Collect a scenario that finds a namespace with nothing in it."""
        self._all[play.__name__] = (play, False)
        return play

    def of(self, **cases: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
        """Collect a scenario once for each case, which it is given as `case`."""

        def collect(play: Callable[..., None]) -> Callable[..., None]:
            for name, case in cases.items():
                self._all[f"{play.__name__}-{name}"] = (partial(play, case=case), True)
            return play

        return collect

    @property
    def names(self) -> list[str]:
        """For parametrize."""
        return list(self._all)

    def outcome(
        self, name: str, request: pytest.FixtureRequest, plane: Plane, sandbox: Sandbox, operator: Operator
    ) -> None:
        """Wait for one scenario's end, in a namespace that the operator serves; raises what it raised."""
        self.played(
            name,
            request,
            lambda play, with_issuer: _play(play, plane, sandbox, operator, with_issuer=with_issuer),
        )

    def played(self, name: str, request: pytest.FixtureRequest, put_on: Callable[[Play, bool], None]) -> None:
        """As `outcome`, wherever `put_on` plays a scenario, which finds an issuer or not."""
        if not self._playing:
            chosen = {
                item.callspec.params.get("scenario") for item in request.session.items if hasattr(item, "callspec")
            }
            pool = ThreadPoolExecutor(self._at_once, thread_name_prefix="scenario")
            for one, (play, with_issuer) in self._all.items():
                if one in chosen:
                    self._playing[one] = pool.submit(put_on, play, with_issuer)
            pool.shutdown(wait=False)
        self._playing[name].result()


def _play(play: Play, plane: Plane, sandbox: Sandbox, operator: Operator, *, with_issuer: bool) -> None:
    with plane.a_namespace() as namespace:
        team = Team(plane, sandbox, namespace, operator)
        if with_issuer:
            team.create_admin_secret()
            team.create_issuer()
        play(team)
