"""Whether an issuer is kept from going: while any ApiKey names it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["hold_due"]


def hold_due(*, held: bool, deleting: bool, dependents: Iterable[bool]) -> Literal["Hold", "Release"] | None:
    """What is to be done about an issuer's finalizer; None: nothing.

    `dependents`: for each ApiKey that names the issuer, whether it has a key or an attempt there. One that has none yet holds a held
    issuer all the same, since it may be about to ask for one; an issuer that was never used is not held by it.
    """
    if held:
        return None if any(True for _ in dependents) else "Release"
    # The first key takes the hold before it is asked for; here it is put back where somebody took it off. Nobody can once it goes.
    return "Hold" if not deleting and any(dependents) else None
