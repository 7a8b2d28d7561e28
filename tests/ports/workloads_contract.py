"""What every Workloads must do, on a real apiserver or in memory: methods over a `place`, which subclasses give as a fixture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest

from keywright.api.apikey import RestartRef
from keywright.errors import Rejected, Unauthorized
from keywright.planning.observed import RolledOut, Rolling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keywright.ports.workloads import Workloads

__all__ = ["WorkloadsContract", "WorkloadsPlace"]

MARK = "restart.keywright.dev/search"
KINDS = ("Deployment", "StatefulSet", "DaemonSet")


class WorkloadsPlace(Protocol):
    """A Workloads with every right, a namespace that serves no Argo Rollouts, and somebody else's hands in it."""

    port: Workloads
    namespace: str

    async def create(self, workload: RestartRef) -> None:
        """Somebody creates one whose pods all run."""
        ...

    async def complete(self, workload: RestartRef) -> None:
        """All pods have the newest template and are available."""
        ...

    async def annotations(self, workload: RestartRef) -> Mapping[str, str]:
        """Of its pod template."""
        ...

    async def rolls(self, workload: RestartRef) -> int:
        """How often its pod template was changed since it was created."""
        ...

    async def without_rights(self) -> Workloads:
        """The same, for somebody who has no right to workloads."""
        ...


def a(kind: Any) -> RestartRef:
    """A workload of this kind."""
    return RestartRef(kind=kind, name="search-api")


class WorkloadsContract:
    """Subclasses give `place`."""

    @pytest.mark.parametrize("kind", KINDS)
    async def test_a_restart_is_one_annotation_of_the_pod_template(self, place: WorkloadsPlace, kind: str):
        """It stands there beside others, and the rollout that it begins is not complete yet."""
        await place.create(a(kind))
        before = dict(await place.annotations(a(kind)))
        assert isinstance(await place.port.restart(place.namespace, a(kind), MARK, "key-1"), Rolling)
        assert await place.annotations(a(kind)) == {**before, MARK: "key-1"}
        assert await place.rolls(a(kind)) == 1

    @pytest.mark.parametrize("kind", KINDS)
    async def test_the_same_restart_again_changes_nothing(self, place: WorkloadsPlace, kind: str):
        """What a crash made uncertain may be asked for once more; another key's is another restart."""
        await place.create(a(kind))
        for _ in range(3):
            await place.port.restart(place.namespace, a(kind), MARK, "key-1")
        assert await place.rolls(a(kind)) == 1
        await place.port.restart(place.namespace, a(kind), MARK, "key-2")
        assert await place.rolls(a(kind)) == 2

    async def test_several_api_keys_restart_one_workload(self, place: WorkloadsPlace):
        """Each has an annotation of its own."""
        await place.create(a("StatefulSet"))
        await place.port.restart(place.namespace, a("StatefulSet"), MARK, "key-1")
        await place.port.restart(place.namespace, a("StatefulSet"), f"{MARK}-2", "key-2")
        stands = await place.annotations(a("StatefulSet"))
        assert (stands[MARK], stands[f"{MARK}-2"]) == ("key-1", "key-2")

    @pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
    async def test_a_rollout_is_looked_at_until_it_is_complete(self, place: WorkloadsPlace, kind: str):
        """Rolling, then RolledOut; a restart that was done already tells so, too."""
        await place.create(a(kind))
        await place.port.restart(place.namespace, a(kind), MARK, "key-1")
        assert isinstance(await place.port.look(place.namespace, a(kind)), Rolling)
        await place.complete(a(kind))
        assert isinstance(await place.port.look(place.namespace, a(kind)), RolledOut)
        assert isinstance(await place.port.restart(place.namespace, a(kind), MARK, "key-1"), RolledOut)

    @pytest.mark.parametrize("kind", KINDS)
    async def test_a_workload_that_is_not_there_is_none(self, place: WorkloadsPlace, kind: str):
        """Absence is known, and nothing is made."""
        assert await place.port.restart(place.namespace, a(kind), MARK, "key-1") is None
        assert await place.port.look(place.namespace, a(kind)) is None

    async def test_a_kind_that_is_not_served_is_no_absence(self, place: WorkloadsPlace):
        """Argo Rollouts, where they are not installed."""
        with pytest.raises(Rejected) as rejected:
            await place.port.restart(place.namespace, a("Rollout"), MARK, "key-1")
        assert rejected.value.reason == "NotInstalled"

    async def test_without_the_right_it_is_said(self, place: WorkloadsPlace):
        """Neither absence nor refusal."""
        await place.create(a("Deployment"))
        port = await place.without_rights()
        with pytest.raises(Unauthorized) as refused:
            await port.restart(place.namespace, a("Deployment"), MARK, "key-1")
        assert refused.value.reason == "Forbidden"
        with pytest.raises(Unauthorized):
            await port.look(place.namespace, a("Deployment"))
        assert await place.rolls(a("Deployment")) == 0
