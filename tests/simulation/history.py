"""A history: what people do, what goes wrong and when. Plain data, drawn and shrunk by Hypothesis; the same one always plays the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from hypothesis import strategies as st
from tests.simulation.names import PATHS, SECRETS

if TYPE_CHECKING:
    from keywright.keys import ResourceKey

__all__ = ["ACTS", "HOW", "POINTS", "Act", "Fault", "History", "histories"]

How = Literal[
    "crash", "freeze", "slow", "unavailable", "lost", "late", "rejected", "limited", "conflict", "deposed", "mangled"
]

HOW: Final[dict[How, str]] = {
    "crash": "the process dies",
    "freeze": "the process stands still, and goes on later without knowing",
    "slow": "it takes long",
    "unavailable": "nothing happened, and the caller knows it",
    "lost": "no answer: before the effect it never happens, after it nobody is told",
    "late": "no answer, and the platform commits later",
    "rejected": "the other side refuses",
    "limited": "429 with Retry-After",
    "conflict": "somebody else writes first",
    "deposed": "the lease goes to another process",
    "mangled": "the answer is truncated, empty or of another shape: committed, and not understood",
}

_WRITES: Final = (
    "patch_status attempt of ApiKey",
    "patch_status of ApiKey",
    "add_finalizer",
    "remove_finalizer",
    "hold",
    "let go",
    "deliver",
    "fence",
    "rewrite",
    "clean",
    "prune",
    "restart",
)
_READS: Final = (
    "list_keys",
    "workspaces",
    "user_id",
    "check",
    "read target",
    "rehearse",
    "refresh",
    "read_value",
    "look at rollout",
    "look over",
)

POINTS: Final[dict[str, tuple[How, ...]]] = {
    "before create": (
        *("crash", "freeze", "slow", "unavailable", "lost"),
        *("late", "late", "rejected", "limited", "deposed"),
    ),
    "after create": ("crash", "freeze", "slow", "lost", "mangled", "deposed"),
    "before revoke": ("crash", "freeze", "slow", "unavailable", "lost", "limited", "deposed"),
    "after revoke": ("crash", "freeze", "lost"),
    **{f"before {call}": ("crash", "freeze", "slow", "unavailable", "conflict") for call in _WRITES},
    **{f"after {call}": ("crash", "freeze", "slow", "lost") for call in _WRITES},
    **{f"before {call}": ("crash", "freeze", "slow", "unavailable") for call in _READS},
    "before restart": ("crash", "freeze", "slow", "unavailable", "rejected"),
    "before deliver": ("crash", "freeze", "slow", "unavailable", "conflict", "rejected", "lost"),
}
"""Where something can go wrong, and how."""

ACTS: Final = (
    "edit label",
    "edit workspace",
    "edit validity",
    "edit target",
    "edit target",
    "edit issuer",
    "edit overlap",
    "edit restart",
    "edit workloads",
    "edit template",
    "suspend or resume",
    "retain or revoke",
    "rotate",
    "rotate",
    "rotate three times",
    "compromised",
    "delete",
    "delete",
    "recreate",
    "delete and create",
    "delete Secret",
    "delete Secret",
    "spoil Secret",
    "restore Secret",
    "restore Secret",
    "strip Secret",
    "strip Secret",
    "give Secret",
    "give Secret",
    "edit adopt",
    "edit adopt",
    "foreign Secret",
    "free Secret",
    "revoke at the platform",
    "archive workspace",
    "swap admin key",
    "mend admin key",
    "take grant away",
    "take grant away",
    "give grant back",
    "revoke or keep ungranted",
    "wipe status",
    "restore ApiKey",
    "take finalizer off",
    "delete issuer",
    "create issuer again",
    "delete admin Secret",
    "crash",
    "freeze",
    "freeze",
    "deafen",
    "depose",
    "platform away",
    "apiserver away",
    "Vault away",
    "listings lag",
    "clamp expiry",
    "claim target",
    "clone cluster",
    "jump clock",
    "wait",
)
"""What people and the world do; world.py says how. Named twice: likelier."""


@dataclass(frozen=True, slots=True)
class Act:
    """After `wait` seconds, `what` is done; `arg` chooses among its variants."""

    wait: float
    what: str
    arg: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """At the `nth` time (from 0) that any process meets this point, it goes wrong so. `seconds`: for how long."""

    at: str
    nth: int
    how: How
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class History:
    """One history. `operators`: one; a leader and a standby; or two that know nothing of each other."""

    operators: Literal["one", "elected", "two"]
    acts: tuple[Act, ...]
    faults: tuple[Fault, ...]
    seed: int = 0
    """Of small delays, and thereby of the order in which what is going on at once happens."""
    vault: bool = False
    """Whether the keys go into Vault, of which no watch tells, in place of Secrets."""
    on_grant_lost: Literal["Keep", "Revoke"] = "Keep"
    """What the issuers say in the beginning."""

    @property
    def places(self) -> tuple[ResourceKey, ...]:
        """Where keys may stand."""
        return PATHS if self.vault else SECRETS

    def __str__(self) -> str:
        where = "in Vault, " if self.vault else ""
        lost = f", onGrantLost: {self.on_grant_lost}" if self.on_grant_lost == "Revoke" else ""
        lines = [f"{where}operators: {self.operators}, delays from seed {self.seed}{lost}"]
        lines += [f"after {act.wait:g} s: {act.what} ({act.arg})" for act in self.acts]
        for fault in self.faults:
            lasts = f", {fault.seconds:g} s" if fault.seconds else ""
            lines.append(f"{fault.at}, time {fault.nth}: {fault.how}{lasts}: {HOW[fault.how]}")
        return "\n".join(lines)


_WAITS: Final = (0.0, 0.05, 0.3, 1.0, 5.0, 20.0) * 2 + (20.0, 60.0, 61.0, 310.0, 310.0, 700.0, 800.0)
"""Seconds: within a step, a pause of ours, the storm guard's interval, the window for late keys, one look at all keys."""
_LASTS: Final = (0.5, 5.0, 20.0, 60.0, 300.0, 500.0, 1000.0, 2000.0)
_LATEST: Final = 390.0
"""Seconds after which no platform commits any more: with the longest lag of a listing less than the protocol's lateWindow, which
stands for both."""


_OPERATORS: Final = ("one", *("elected",) * 4, "one", "elected", "two")
"""Two without a lease are the rarest: they wake each other with all that they write, and take three times as long as a pair with one."""

_AT: Final = st.sampled_from(list(POINTS))
_AT_HOW: Final = {at: st.sampled_from(how) for at, how in POINTS.items()}
_NTH: Final = st.integers(0, 5)
_SECONDS: Final = st.sampled_from(_LASTS)


@st.composite
def _faults(draw: st.DrawFn) -> Fault:
    at = draw(_AT)
    how = draw(_AT_HOW[at])
    nth = draw(_NTH)
    seconds = draw(_SECONDS) if how in ("freeze", "slow", "late", "limited") else 0.0
    return Fault(at, nth, how, min(seconds, _LATEST) if how == "late" else seconds)


def histories() -> st.SearchStrategy[History]:
    """Any history: up to ten acts and eight faults."""
    acts = st.builds(Act, st.sampled_from(_WAITS), st.sampled_from(ACTS), st.integers(0, 7))
    return st.builds(
        History,
        st.sampled_from(_OPERATORS),
        st.lists(acts, max_size=10).map(tuple),
        st.lists(_faults(), max_size=8).map(tuple),
        st.integers(0, 1 << 16),
        st.sampled_from((False, False, True)),
        st.sampled_from(("Keep", "Revoke")),
    )
