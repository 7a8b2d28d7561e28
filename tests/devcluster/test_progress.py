"""Estimates, and how progress is shown."""

from __future__ import annotations

import io
from itertools import pairwise

import pytest
from rich.console import Console

from keywright.devcluster import Building, Note, shown
from keywright.devcluster.console import _Lines
from keywright.devcluster.progress import Forecast
from keywright.devcluster.recipes import CONTROL_PLANE

WHOLE = sum(recipe.seconds for recipe in CONTROL_PLANE)


def test_the_estimate_scales_with_cores():
    """The figures are of two cores; eight need a quarter of them."""
    assert Forecast(CONTROL_PLANE, cores=2).remaining(0) == pytest.approx(WHOLE)
    assert Forecast(CONTROL_PLANE, cores=8).remaining(0) == pytest.approx(WHOLE / 4)


def test_the_estimate_learns_from_finished_steps():
    """A machine that took twice as long for the first step is expected to for the others."""
    forecast = Forecast(CONTROL_PLANE, cores=2)
    forecast.finish(CONTROL_PLANE[0].seconds * 2)
    assert forecast.remaining(0) == pytest.approx((WHOLE - CONTROL_PLANE[0].seconds) * 2)


def test_the_bar_never_runs_backwards_within_a_step_nor_ends_early():
    """A step that takes far longer than expected slows the bar down, and only the last one's end fills it."""
    forecast = Forecast(CONTROL_PLANE[:1], cores=2)
    fractions = [forecast.fraction(elapsed) for elapsed in (0, 1, 10, 44, 46, 100, 1000, 10_000)]
    assert all(later > earlier - 1e-9 for earlier, later in pairwise(fractions))
    assert fractions[-1] < 1
    forecast.finish(10_000)
    assert forecast.fraction(0) == 1


def a_step(**changed: object) -> Building:
    """The first of three steps, a while after its start."""
    values = {
        "binary": "etcd v3",
        "number": 1,
        "total": 3,
        "elapsed": 61.0,
        "fraction": 0.1,
        "remaining": 300.0,
        "latest": "",
    }
    return Building(**{**values, "finished": False, **changed})


def test_a_pipe_gets_a_line_per_step_and_one_each_half_minute():
    """CI logs stay short, and show that something happens."""
    output = io.StringIO()
    now = 0.0
    lines = _Lines(Console(file=output), clock=lambda: now)
    lines(a_step(elapsed=0.0))
    for now in range(1, 62):
        lines(a_step(elapsed=float(now)))
    lines(a_step(finished=True))
    assert output.getvalue().splitlines() == [
        "(1/3) etcd v3: building, about 5 min for all that is left",
        "(1/3) etcd v3: 0:30, about 5 min left",
        "(1/3) etcd v3: 1:00, about 5 min left",
        "(1/3) etcd v3: built in 1:01",
    ]


def test_a_terminal_gets_a_bar_with_elapsed_time_and_estimate():
    """Step, bar, elapsed, estimate, and what the compiler is at; brackets in it are not taken for markup."""
    output = io.StringIO()
    with shown(Console(file=output, force_terminal=True, width=120)) as report:
        report(Note("Another build is at work"))
        report(a_step(latest="compiling [/red]"))
    said = output.getvalue()
    for part in ("Another build", "(1/3) etcd v3", "1:01, about 5 min left", "compiling (/red]"):
        assert part in said


@pytest.mark.parametrize(
    ("width", "latest"), [(60, ""), (80, ""), (90, ""), (120, "…bernetes/a/package/with/a/long/name/(a]")]
)
def test_the_bar_and_the_estimate_stay_whole_on_every_terminal(width: int, latest: str):
    """What the compiler is at is cut or left out; step, bar and times are not."""
    output = io.StringIO()
    with shown(Console(file=output, force_terminal=True, width=width, height=20)) as report:
        report(
            a_step(latest="compiling k8s.io/kubernetes/a/package/with/a/long/name/[a]", elapsed=600.0, remaining=600.0)
        )
    line = next(line for line in output.getvalue().splitlines() if "10:00" in line)
    assert "(1/3) etcd v3" in line
    assert "10:00, about 10 min left" in line
    assert line.count("━") >= 10
    assert latest in line
    assert ("name" in line) is bool(latest)
