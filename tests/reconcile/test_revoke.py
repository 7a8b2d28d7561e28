"""What `keywright revoke` does to the apiserver: the policy first, the very version then, and again where somebody was faster."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from keywright.errors import Ambiguous, Conflict, Rejected, Unauthorized, Unavailable
from keywright.keys import ResourceKey
from keywright.planning.trigger import State
from keywright.reconcile.revoke import Revoker

if TYPE_CHECKING:
    from collections.abc import Callable

    from keywright.errors import KeywrightError
    from keywright.planning.trigger import Answer

KEY = ResourceKey("shop", "search")
PATIENCE = timedelta(minutes=1)


class Apiserver:
    """One ApiKey; `meanwhile` acts before the next write, `operator` at each look."""

    def __init__(self, *, policy: str | None = None, deleting: bool = False) -> None:
        self.policy_at_deletion: str | None = None
        self.writes: list[str] = []
        self.rehearsed: list[str] = []
        self.meanwhile: list[Callable[[], None]] = []
        self.failures: list[KeywrightError] = []
        self.operator: Callable[[], None] = lambda: None
        issuer = {"kind": "KeyIssuer", "name": "mistral", "uid": "u"}
        self.stored: dict[str, Any] | None = {
            "kind": "ApiKey",
            "metadata": {
                "namespace": "shop",
                "name": "search",
                "uid": "uid-1",
                "resourceVersion": "1",
                "creationTimestamp": "2026-11-24T12:00:00Z",
                "finalizers": ["keywright.dev/revoke"],
                **({"deletionTimestamp": "2026-11-24T12:00:00Z"} if deleting else {}),
            },
            "spec": {"target": {"secret": {"name": "k"}}, **({"deletionPolicy": policy} if policy else {})},
            "status": {"keyId": "key-1", "issuer": issuer},
        }

    def edit(self, **spec: Any) -> None:
        """Somebody writes."""
        assert self.stored is not None
        self.stored["spec"] |= spec
        self.stored["metadata"]["resourceVersion"] += "1"

    async def seen(self, key: ResourceKey) -> dict[str, Any] | None:
        """As it stands."""
        self.operator()
        return copy.deepcopy(self.stored) if key == KEY else None

    def _guard(self, seen: dict[str, Any], *, rehearse: bool) -> None:
        if self.failures and not rehearse:
            raise self.failures.pop()
        if self.meanwhile and not rehearse:
            self.meanwhile.pop()()
        if self.stored is None or self.stored["metadata"]["resourceVersion"] != seen["metadata"]["resourceVersion"]:
            raise Conflict("it has changed")

    async def bind(self, seen: dict[str, Any], *, rehearse: bool) -> dict[str, Any]:
        """Guarded."""
        self._guard(seen, rehearse=rehearse)
        (self.rehearsed if rehearse else self.writes).append("bind")
        if not rehearse:
            self.edit(deletionPolicy="Revoke")
        return copy.deepcopy(self.stored or {})

    async def delete(self, seen: dict[str, Any], *, rehearse: bool) -> None:
        """Guarded."""
        self._guard(seen, rehearse=rehearse)
        (self.rehearsed if rehearse else self.writes).append("delete")
        if not rehearse and self.stored is not None:
            self.policy_at_deletion = self.stored["spec"].get("deletionPolicy", "Revoke")
            self.stored["metadata"]["deletionTimestamp"] = "2026-11-24T12:00:00Z"


async def revoked(apiserver: Apiserver) -> tuple[Answer, list[str]]:
    """The end of it, and what was heard on the way; between two looks half a second passes."""
    now = [0.0]

    async def sleep(seconds: float) -> None:
        now[0] += seconds

    revoker = Revoker(ending=apiserver, monotonic=lambda: now[0], sleep=sleep)
    [doomed] = await revoker.look([KEY])
    await revoker.end(doomed)
    heard: list[str] = []
    last = await revoker.follow(doomed, lambda answer: heard.append(answer.message), PATIENCE)
    return last, list(dict.fromkeys(heard))


def that_revokes(apiserver: Apiserver, *, after: int = 3) -> Apiserver:
    """An operator lets go of it some looks after its deletion has begun, if the policy says so by then."""
    looks = [0]

    def operator() -> None:
        if apiserver.stored and "deletionTimestamp" in apiserver.stored["metadata"]:
            looks[0] += 1
            if looks[0] > after and apiserver.stored["spec"].get("deletionPolicy", "Revoke") == "Revoke":
                apiserver.stored = None

    apiserver.operator = operator
    return apiserver


async def test_the_policy_is_changed_before_the_deletion():
    """Both were rehearsed; then it is waited for."""
    apiserver = that_revokes(Apiserver(policy="Retain"))
    last, heard = await revoked(apiserver)
    assert apiserver.rehearsed == ["bind", "delete"]
    assert apiserver.writes == ["bind", "delete"]
    assert (last.state, last.message) == (State.DONE, "It is gone; its key key-1 is revoked.")
    assert heard[0] == "Its keys are being revoked."


async def test_what_says_revoke_already_is_only_deleted():
    """No write more than is needed."""
    apiserver = that_revokes(Apiserver())
    await revoked(apiserver)
    assert apiserver.writes == ["delete"]


async def test_a_retain_that_somebody_writes_in_between_does_not_win():
    """The deletion names the version that says Revoke."""
    apiserver = that_revokes(Apiserver())
    apiserver.meanwhile.append(lambda: apiserver.edit(deletionPolicy="Retain"))
    await revoked(apiserver)
    assert apiserver.policy_at_deletion == "Revoke"
    assert apiserver.writes == ["bind", "delete"]


async def test_one_that_goes_already_under_retain_is_bound():
    """And not deleted a second time; nor does a Retain that comes back while it is waited for win."""
    apiserver = that_revokes(Apiserver(policy="Retain", deleting=True), after=8)
    apiserver.meanwhile.append(lambda: None)
    before = apiserver.operator
    again = [True]

    def operator() -> None:
        if apiserver.writes and again:
            again.clear()
            apiserver.edit(deletionPolicy="Retain")
        before()

    apiserver.operator = operator
    last, _ = await revoked(apiserver)
    assert last.state is State.DONE
    assert apiserver.writes == ["bind", "bind"]


async def test_lost_answers_and_conflicts_are_tried_again():
    """Until the apiserver is surely away."""
    apiserver = that_revokes(Apiserver(policy="Retain"))
    apiserver.failures = [Ambiguous("no answer"), Unavailable("no answer"), Conflict("somebody else")]
    last, _ = await revoked(apiserver)
    assert last.state is State.DONE
    away = Apiserver()
    away.failures = [Unavailable("no answer") for _ in range(100)]
    with pytest.raises(Unavailable):
        await revoked(away)


async def test_without_an_operator_it_says_so_and_gives_up_in_time():
    """The deletion stands."""
    last, heard = await revoked(Apiserver())
    assert last.state is State.FAILED
    assert last.message.startswith(
        "Not gone after 60 s; the deletion stands. Last seen: No operator has answered for 60 s"
    )
    assert heard[1].startswith("No operator has answered for 15 s")


async def test_a_wrong_name_or_a_missing_right_ends_nothing():
    """Nothing was begun."""
    apiserver = Apiserver()
    revoker = Revoker(ending=apiserver, monotonic=lambda: 0.0, sleep=_no_sleep)
    with pytest.raises(Rejected, match="there is no ApiKey serach in namespace shop"):
        await revoker.look([KEY, ResourceKey("shop", "serach")])

    async def refuse(_seen: Any, *, rehearse: bool) -> None:
        raise Unauthorized("you may not delete", reason="Forbidden")

    apiserver.delete = refuse
    with pytest.raises(Unauthorized):
        await revoker.look([KEY])
    assert apiserver.writes == []


async def test_another_one_of_that_name_is_left_alone():
    """It was asked about another."""
    apiserver = Apiserver()
    revoker = Revoker(ending=apiserver, monotonic=lambda: 0.0, sleep=_no_sleep)
    [doomed] = await revoker.look([KEY])
    assert apiserver.stored is not None
    apiserver.stored["metadata"]["uid"] = "uid-2"
    with pytest.raises(Rejected, match="created again meanwhile"):
        await revoker.end(doomed)
    assert apiserver.writes == []


async def _no_sleep(_seconds: float) -> None:
    return
