"""Scenarios that mostly wait, played at the same time: each in a namespace of its own, each a test of its own for each sink.

A scenario is a function over a Team, which has an admin key and a KeyIssuer unless it wants nothing. It is played with a Secret as
the target and again with a path in Vault, unless it says why one of them has nothing to do with it. The first test that asks for an
outcome starts all scenarios that were selected.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.sinks import SINKS, Alone, Case, alone_of

if TYPE_CHECKING:
    import pytest
    from tests.sinks import Sink

__all__ = ["Scenario", "Scenarios"]

Play = Callable[..., None]

AT_ONCE = 16
"""Scenarios at once: they wait most of the time."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One to be played. `with_issuer`: it finds a KeyIssuer."""

    play: Play
    sink: Sink
    with_issuer: bool


class Scenarios:
    """A module's scenarios; `@scenarios` collects one, `@scenarios.of(…)` one for each case."""

    def __init__(self, at_once: int = AT_ONCE, *, alone: Alone | None = None) -> None:
        """`at_once`: how many are played at the same time. `alone`: the sink that all of them are about."""
        self._at_once = at_once
        self._alone = alone
        self._all: dict[str, Scenario] = {}
        self._playing: dict[str, Future[None]] = {}
        self.alone: dict[str, Alone] = {}
        """What is not played on both sinks, by the name without its sink."""

    def __call__(self, play: Play) -> Play:
        """Collect a scenario that finds a KeyIssuer."""
        self._collect(play.__name__, play, alone_of(play))
        return play

    def without_issuer(self, play: Play) -> Play:
        """Collect a scenario that finds a namespace with nothing in it."""
        self._collect(play.__name__, play, alone_of(play), with_issuer=False)
        return play

    def of(self, **cases: Any) -> Callable[[Play], Play]:
        """Collect a scenario once for each case, which it is given as `case`."""

        def collect(play: Play) -> Play:
            for name, one in cases.items():
                value, alone = (one.value, one.alone) if isinstance(one, Case) else (one, alone_of(play))
                self._collect(f"{play.__name__}-{name}", partial(play, case=value), alone)
            return play

        return collect

    def _collect(self, name: str, play: Play, alone: Alone | None, *, with_issuer: bool = True) -> None:
        if (alone := alone or self._alone) is not None:
            self.alone[name] = alone
        for sink in (alone.sink,) if alone else SINKS:
            self._all[f"{name}-{sink}"] = Scenario(play, sink, with_issuer)

    @property
    def names(self) -> list[str]:
        """For parametrize: each with its sink."""
        return list(self._all)

    def played(self, name: str, request: pytest.FixtureRequest, put_on: Callable[[Scenario], None]) -> None:
        """Wait for one scenario's end, wherever `put_on` plays it; raises what it raised."""
        if not self._playing:
            chosen = {
                item.callspec.params.get("scenario") for item in request.session.items if hasattr(item, "callspec")
            }
            pool = ThreadPoolExecutor(self._at_once, thread_name_prefix="scenario")
            for one, scenario in self._all.items():
                if one in chosen:
                    self._playing[one] = pool.submit(put_on, scenario)
            pool.shutdown(wait=False)
        self._playing[name].result()
