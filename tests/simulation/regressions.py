"""Named histories: each is the shortest that shows what one guard is for, found by the search, or by hand where it is rare."""

from __future__ import annotations

from typing import Final

from tests.simulation.history import Act, Fault, History

__all__ = ["REGRESSIONS"]

REGRESSIONS: Final[dict[str, History]] = {
    # The process dies with the plaintext in hand: without an intent nobody knows that there is a key.
    "intent": History("one", (), (Fault("after create", 0, "crash"),)),
    # Two operators issue at once, and each overwrites what the other wrote down.
    "resourceVersion": History("two", (Act(0.3, "edit label"),), ()),
    # One closes the attempt of the other, which delivers all the same.
    "compare-and-set": History("two", (Act(310.0, "edit label"),), ()),
    # The process dies after the delivery: what stands in the target is the key, no second one is asked for.
    "adoption": History("one", (), (Fault("after deliver", 0, "crash"),)),
    # As compare-and-set: nothing has changed the target, so that nothing stops the other's delivery.
    "fence": History("two", (Act(310.0, "edit label"),), ()),
    # A frozen leader is taken for dead; while its key is being revoked it wakes up, delivers and settles.
    "record first": History(
        "elected",
        (Act(20.0, "strip Secret"),),
        (Fault("after create", 0, "freeze", 20.0), Fault("before revoke", 0, "slow", 20.0)),
    ),
    # A watch has gone deaf for ten minutes, and a backup of the ApiKey is put back meanwhile: it names the older key as the current one.
    "fresh look": History(
        "one",
        (Act(0.3, "edit label"), Act(5.0, "deafen", 2), Act(0.0, "restore ApiKey", 2), Act(700.0, "edit label")),
        (),
    ),
    # The spec leaves a place and comes back at once: one operator cleans it by what it has heard, the other has delivered there.
    "left place": History(
        "two",
        (Act(20.0, "edit target", 1), Act(0.0, "edit target")),
        (Fault("before patch_status of ApiKey", 1, "unavailable"),),
        4548,
    ),
    # The platform commits half a minute after its caller gave up.
    "late keys": History("one", (), (Fault("before create", 0, "late", 60.0),)),
    # As before, and the ApiKey is deleted meanwhile.
    "wait": History("one", (Act(1.0, "delete"),), (Fault("before create", 0, "late", 60.0),)),
    # Another cluster, restored from the same snapshot, has rotated: its key carries the same tag.
    "recorded only": History(
        "one", (Act(60.0, "clone cluster"), Act(1.0, "rotate")), (Fault("before create", 0, "lost"),)
    ),
    # A backup of the Secret with the older key is put back, and nothing is issued meanwhile: the overlap must not end.
    "key in the target": History(
        "one",
        (Act(1.0, "rotate"), Act(5.0, "suspend or resume"), Act(5.0, "restore Secret", 1), Act(700.0, "wait")),
        (),
    ),
    # The Secret is deleted during an overlap: who still holds the older key can get no newer one.
    "deliver first": History(
        "one", (Act(1.0, "rotate"), Act(5.0, "suspend or resume"), Act(5.0, "delete Secret"), Act(700.0, "wait")), ()
    ),
    # A rotation with a rollout that takes longer than the overlap.
    "rollouts": History("one", (Act(1.0, "rotate"), Act(700.0, "wait")), ()),
    # Two ApiKeys name one Secret.
    "preflight": History("one", (Act(0.05, "claim target"),), ()),
    # Four edits within seconds.
    "storm guard": History(
        "one",
        (Act(2.0, "edit label", 1), Act(1.0, "edit label"), Act(2.0, "edit label", 1), Act(1.0, "edit label")),
        (),
        2,
    ),
    # Somebody deletes the issuer of a key that lives.
    "hold": History("one", (Act(1.0, "delete issuer"),), ()),
    # Somebody takes the grant away.
    "ten minutes": History("one", (Act(60.0, "take grant away"), Act(60.0, "wait")), (), on_grant_lost="Revoke"),
    # It is given back in time, and taken away once more.
    "given back": History(
        "one",
        (
            *(Act(60.0, "take grant away"), Act(310.0, "give grant back")),
            *(Act(310.0, "take grant away"), Act(60.0, "wait")),
        ),
        (),
        on_grant_lost="Revoke",
    ),
    # The Secret with the admin key is gone for a while, and the ApiKey is looked at meanwhile.
    "no guess": History(
        "one",
        (Act(60.0, "delete admin Secret"), Act(20.0, "edit overlap"), Act(700.0, "wait")),
        (),
        on_grant_lost="Revoke",
    ),
    # A leader stands still just before its POST; another takes over, the ApiKey is deleted and waited for; then it goes on.
    "lease": History("elected", (Act(1.0, "delete"),), (Fault("before create", 0, "freeze", 2000.0),)),
}
"""By the guard's name: with it all is well, without it an invariant breaks; where processes race, for some seed of the delays."""
