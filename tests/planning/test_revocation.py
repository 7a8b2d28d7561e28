"""What a person is told of the end of an ApiKey: what it means, who undoes it, and how far it is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.planning.builders import ISSUER, NOW, a_subject

from keywright.api.apikey_status import ApiKeyStatus, NextStep, PreviousKey, TargetStatus
from keywright.api.base import Condition
from keywright.planning.revocation import Doomed, answer, prospect, warnings
from keywright.planning.trigger import State

SECOND = timedelta(seconds=1)


def a_doomed(older: int = 0, *, retained: bool = False, subject: dict[str, Any] | None = None, **status: Any) -> Doomed:
    """An ApiKey with a key, and so many older ones."""
    previous = [PreviousKey(key_id=f"old-{i}", issuer=ISSUER, revoke_at=NOW) for i in range(older)]
    fields = {
        "key_id": "key-1",
        "masked_key": "abcd...wxyz",
        "target": TargetStatus(kind="Secret", name="mistral-key"),
        "previous": previous,
        **status,
    }
    return Doomed(a_subject(**(subject or {})), {}, retained, "mistral-key", ApiKeyStatus(**fields))


@pytest.mark.parametrize(
    ("doomed", "says"),
    [
        (a_doomed(), "Its key abcd...wxyz is revoked, Secret mistral-key is removed, and the ApiKey goes."),
        (
            a_doomed(2, retained=True),
            "Its key abcd...wxyz and 2 older keys are revoked (deletionPolicy: Retain is overruled), ",
        ),
        (
            a_doomed(1, subject={"deleting": True}),
            "Secret mistral-key is removed, and the ApiKey goes: its deletion has begun already.",
        ),
        (
            a_doomed(target=TargetStatus(kind="Secret", name="app", adopted=True)),
            "Its key abcd...wxyz is revoked, what keywright wrote into Secret app, which was adopted, is taken out, and the ApiKey goes.",
        ),
        (
            a_doomed(key_id=None, masked_key=None),
            "No key has been delivered, Secret mistral-key is removed, and the ApiKey goes.",
        ),
    ],
    ids=["one", "retained", "deleting", "adopted", "none"],
)
def test_what_comes_of_it(doomed: Doomed, says: str):
    """Which keys, and what becomes of the target."""
    assert says in prospect(doomed)


@pytest.mark.parametrize(
    ("metadata", "who"),
    [
        ({"labels": {"argocd.argoproj.io/instance": "shop"}}, "Argo CD (application shop)"),
        (
            {"annotations": {"argocd.argoproj.io/tracking-id": "shop:keywright.dev/ApiKey:a/b"}},
            "Argo CD (application shop)",
        ),
        (
            {
                "labels": {
                    "kustomize.toolkit.fluxcd.io/name": "apps",
                    "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
                }
            },
            "Flux (Kustomization flux-system/apps)",
        ),
        ({"labels": {"helm.toolkit.fluxcd.io/name": "shop"}}, "Flux (HelmRelease shop)"),
        ({"ownerReferences": [{"kind": "App", "name": "shop", "controller": True}]}, "App shop owns it"),
    ],
    ids=["argo", "tracking id", "flux", "helm", "owner"],
)
def test_who_would_create_it_again(metadata: dict[str, Any], who: str):
    """With what to do first."""
    [warning] = warnings(a_doomed()._replace(metadata=metadata))
    assert warning.startswith(who)
    assert "first." in warning


def test_nobody_creates_it_again():
    """An owner that is no controller does not."""
    assert (
        warnings(a_doomed()._replace(metadata={"ownerReferences": [{"kind": "App", "name": "x"}], "labels": {}})) == []
    )


def a_condition(of_type: str, message: str) -> Condition:
    """That stands."""
    return Condition(type=of_type, status="True", reason="RevocationFailed", message=message, last_transition_time=NOW)


STALLED = a_doomed(conditions=[a_condition("Stalled", "Key key-1 cannot be revoked yet: refused")])
RETRIED = a_doomed(next=NextStep(action="Release", reason="Key key-1 cannot be revoked yet: no answer"))
RECREATED = a_doomed(subject={"uid": "another"})


@pytest.mark.parametrize(
    ("seen", "last", "waited", "state", "says"),
    [
        (a_doomed(), None, SECOND, State.WAITING, "Its keys are being revoked."),
        (a_doomed(), None, 20 * SECOND, State.WAITING, "No operator has answered for 20 s"),
        (RETRIED, None, 20 * SECOND, State.WAITING, "Key key-1 cannot be revoked yet: no answer."),
        (STALLED, None, SECOND, State.WAITING, "being revoked"),
        (
            STALLED,
            None,
            6 * SECOND,
            State.FAILED,
            "refused. The deletion stands, and ends by itself once that is mended.",
        ),
        (None, a_doomed(), SECOND, State.DONE, "It is gone; its key key-1 is revoked."),
        (None, a_doomed(1), SECOND, State.DONE, "It is gone; all its keys are revoked."),
        (None, a_doomed(key_id=None), SECOND, State.DONE, "It is gone; it had no key."),
        (RECREATED, a_doomed(), SECOND, State.DONE, "Somebody created it again"),
        (None, a_doomed(subject={"abandon": True}), SECOND, State.FAILED, "released by keywright.dev/abandon: see"),
        (None, a_doomed(subject={"finalizer": False}), SECOND, State.FAILED, "nobody revoked key-1"),
    ],
    ids=[
        *("begun", "nobody works", "retried", "stalled at first", "stalled", "gone", "gone with older", "gone without"),
        *("created again", "abandoned", "never held"),
    ],
)
def test_how_far_it_is(seen: Doomed | None, last: Doomed | None, waited: timedelta, state: State, says: str):
    """Gone is not the same as revoked."""
    told = answer(a_doomed(), seen, last or a_doomed(), waited)
    assert told.state is state
    assert says in told.message
