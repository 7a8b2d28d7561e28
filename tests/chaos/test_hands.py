"""People and other programs lay hands on what is keywright's: finalizers, statuses, annotations, restored copies, edits in the midst."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.chaos.consumer import Consumer
from tests.e2e.team import GROUP, MERGE
from tests.e2e.together import Scenarios
from tests.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.stage import Stage

pytestmark = [pytest.mark.plane, pytest.mark.slow, pytest.mark.xdist_group("chaos-hands")]
scenarios = Scenarios(at_once=18)

MIDST = (
    "before add_finalizer",
    "before patch_status:intent",
    "before create",
    "after create",
    "before deliver",
    "after deliver",
    "after patch_status:settle",
)
"""Moments of an issuance at which something else happens."""


def unlocked(stage: Stage, name: str) -> None:
    """Somebody takes the finalizers off."""
    stage.patch(name, {"metadata": {"finalizers": None}})


def collected(stage: Stage, name: str) -> None:
    """What the garbage collector does in its own time to a Secret, and nobody but a person to a path in Vault."""
    with suppress(RuntimeError):
        stage.delete_target(name)
    assert stage.target(name) is None


def wipe(stage: Stage, name: str, status: dict[str, Any] | None = None) -> None:
    """Somebody writes another status, or none."""
    stage.plane.call("PATCH", f"{stage._path(name)}/status", {"status": None}, content_type=MERGE)
    if status:
        stage.plane.call("PATCH", f"{stage._path(name)}/status", {"status": status}, content_type=MERGE)


@scenarios
def a_finalizer_taken_off_by_hand(stage: Stage):
    """K6: put on again while the ApiKey lives; taken off in the midst of a deletion, what is left alive is counted as a stray."""
    operator = stage.an_operator()
    stage.create("lives")
    stage.create("goes")
    stage.ready("lives")
    key = stage.ready("goes")["keyId"]
    unlocked(stage, "lives")
    wait_for(lambda: stage.object("lives")["metadata"].get("finalizers"), "it is put on again")
    stage.fail_at(operator, "before revoke", "kill", "goes")
    stage.delete("goes")
    stage.failed(operator)
    unlocked(stage, "goes")
    stage.gone("goes")
    operator.start()
    collected(stage, "goes-key")
    wait_for(lambda: stage.issuer_status().get("strays") == 1, "the key that it left is counted")
    stage.holds(strays=1)
    assert key in stage.tagged()
    stage.delete("lives")
    stage.nothing_left("lives")
    assert stage.tagged().keys() == {key}


@scenarios
def a_status_that_is_wiped(stage: Stage):
    """K6, U8: the key in the target is adopted, triggers that stand there count as handled, an older key is reported and lives."""
    stage.an_operator()
    for name in ("one", "two"):
        stage.create(name, annotations={"keywright.dev/rotate": "first", "keywright.dev/compromised": "first"})
        stage.ready(name)
    stage.annotate("two", rotate="second")
    before = {"one": stage.status("one")["keyId"], "two": stage.ready("two", revision=2)["keyId"]}
    [older] = stage.status("two")["previous"]
    with Consumer(stage, "one") as consumer:
        for name, key_id in before.items():
            wipe(stage, name)
            wait_for(lambda name=name, key_id=key_id: stage.status(name).get("keyId") == key_id, f"{name} is adopted")
        stage.looked_again()
        stage.holds(strays=1)
    consumer.check()
    assert older["keyId"] in stage.tagged()
    assert {name: stage.status(name)["keyId"] for name in before} == before
    assert {name: stage.posts(name) for name in before} == {"one": 1, "two": 2}


@scenarios
def annotations_that_a_replace_strips(stage: Stage):
    """K6: the ApiKey's say nothing when they are gone; a target gets its own back, since it holds the key, and no key is made."""
    stage.an_operator()
    stage.create(annotations={"keywright.dev/rotate": "first"})
    stage.ready()
    stage.annotate("search", rotate="second")
    status = stage.ready(revision=2)
    manifest = {"apiVersion": "keywright.dev/v1alpha1", "kind": "ApiKey", "metadata": {"name": "search"}}
    manifest["spec"] = stage.object()["spec"]

    def replaced() -> bool:
        with suppress(RuntimeError):  # the operator wrote between kubectl's look and its write
            return bool(
                stage.plane.kubectl("-n", stage.namespace, "replace", "-f", "-", stdin=yaml.safe_dump(manifest))
            )
        return False

    wait_for(replaced, "it is replaced")
    wait_for(lambda: stage.object()["metadata"].get("finalizers"), "the finalizer is put on again")
    stage.looked_again()
    stage.holds()
    assert stage.status()["keyId"] == status["keyId"]

    text = stage.text()
    stage.replace_target("search-key")
    wait_for(lambda: stage.target()["metadata"].get("annotations"), "they are put back")
    stage.holds()
    assert stage.text() == text
    assert stage.status()["keyId"] == status["keyId"]
    assert stage.posts() == 2


@scenarios
def deleted_and_made_again_at_once(stage: Stage):
    """K7: under the same name within a moment: the old key dies, the new ApiKey gets its own, and that is what the target ends with."""
    operator = stage.an_operator()
    names = [f"key-{i}" for i in range(6)]
    for name in names:
        stage.create(name)
    old = {name: stage.ready(name)["keyId"] for name in names}

    def made_again(name: str) -> None:
        def made() -> bool:
            with suppress(RuntimeError):  # it is still there
                return bool(stage.create(name))
            return False

        wait_for(made, f"{name} can be made again", pause=0.001)

    with ThreadPoolExecutor(len(names)) as pool:
        for name in names[:3]:
            stage.delete(name)
        list(pool.map(made_again, names[:3]))
        operator.kill()
        for name in names[3:]:
            stage.delete(name)
        again = [pool.submit(made_again, name) for name in names[3:]]
        operator.start()
        for one in again:
            one.result()
    stage.holds()
    assert not set(old.values()) & stage.tagged().keys()
    for name in names:
        uid = stage.object(name)["metadata"]["uid"]
        assert stage.target(f"{name}-key")["metadata"]["annotations"]["keywright.dev/apikey-uid"] == uid


@scenarios.of(
    with_status_and_target=(True, True), with_target=(False, True), with_status=(True, False), bare=(False, False)
)
def restored_from_a_saved_copy(stage: Stage, case: tuple[bool, bool]):
    """K13, U8: whatever came back with it, no live key is revoked by that; one that nobody names any more is counted."""
    with_status, with_target = case
    operator = stage.an_operator()
    stage.create()
    stage.ready()
    stage.annotate("search", rotate="once")
    status = stage.ready(revision=2)
    saved, target = stage.object(), stage.target()
    operator.kill()
    unlocked(stage, "search")
    stage.delete()
    stage.gone()
    collected(stage, "search-key")
    live = stage.tagged()
    assert len(live) == 2, "the current one and the one in its overlap"

    # As Velero restores: its own labels on, finalizers kept, owners dropped.
    mark = {"velero.io/backup-name": "nightly", "velero.io/restore-name": "nightly-1"}
    metadata = {"name": "search", "labels": mark} | {n: saved["metadata"][n] for n in ("annotations", "finalizers")}
    copy = {"apiVersion": saved["apiVersion"], "kind": "ApiKey", "metadata": metadata, "spec": saved["spec"]}
    if with_target:
        stage.restore_target(target, mark)
    stage.plane.call("POST", f"{GROUP}/namespaces/{stage.namespace}/apikeys", copy)
    if with_status:
        wipe(stage, "search", status)
    operator.start()
    stage.ready(revision=2 + (with_status and not with_target) - (not with_status and not with_target))
    stage.looked_again()
    unnamed = 0 if with_status else 1 if with_target else 2
    stage.holds(strays=unnamed)
    wait_for(lambda: stage.issuer_status().get("strays") == unnamed, "what nobody names is counted")
    assert live.keys() <= stage.tagged().keys()
    assert stage.posts() == 2 + (not with_target)
    if with_target:
        assert stage.status()["keyId"] == status["keyId"]
        assert stage.text() == stage.text()


@scenarios
def one_change_that_wakes_many(stage: Stage):
    """K15: the ApiKey, its issuer and its target change at the same moment: one rotation, one request."""
    stage.an_operator()
    stage.create(rotation={"overlap": "0s"})
    stage.ready()
    touch = {"metadata": {"labels": {"touched": "yes"}}}
    with ThreadPoolExecutor(3) as pool:
        pool.submit(stage.annotate, "search", rotate="now")
        pool.submit(stage.edit_target, "search-key", touch)
        pool.submit(stage.patch_issuer, {"spec": {"requests": {"perSecond": 500}}})
    stage.ready(revision=2)
    stage.looked_again()
    stage.holds()
    assert stage.status()["revision"] == 2
    assert stage.posts() == 2


@scenarios.of(
    label={"label": "another"},
    workspace={"workspace": "billing"},
    expiry={"expiry": None},
    target={"target": {"secret": {"name": "elsewhere"}}},
)
def a_spec_edited_in_the_midst(stage: Stage, case: dict[str, Any]):
    """U1: at each moment of an issuance: it ends with the key that the last spec asks for, in its place, and no other."""
    operator = stage.an_operator()
    for i, place in enumerate(MIDST):
        name = f"key-{i}"
        stage.fail_at(operator, place, "stop", name)
        stage.create(name, rotation={"overlap": "0s"})
        stage.failed(operator, "stop")
        edit = {"target": {"secret": {"name": f"{name}-elsewhere"}}} if "target" in case else case
        stage.patch(name, {"spec": edit})
        operator.signal(signal.SIGCONT)
    stage.holds()
    for i in range(len(MIDST)):
        name = f"key-{i}"
        status, issued = stage.status(name), stage.status(name)["issuedAs"]
        wait_for(lambda name=name: "previous" not in stage.status(name), "one key is left")
        assert issued["label"] == case.get("label", f"{stage.namespace}/{name}")
        assert status["workspace"]["name"] == case.get("workspace", "search-prod")
        assert ("expiresAt" in status) == ("expiry" not in case)
        assert stage.home(name) == (f"{name}-elsewhere" if "target" in case else f"{name}-key")
        if "target" in case:
            wait_for(lambda name=name: stage.target(f"{name}-key") is None, "nothing stays in the place that was left")
        assert status["revision"] <= 2
    stage.holds()
    assert len(stage.tagged()) == len(MIDST)


@scenarios
def triggers_in_the_midst(stage: Stage):
    """U2: ten values while a rotation is under way are one more rotation at most, and the last is answered."""
    operator = stage.an_operator()
    stage.create(rotation={"overlap": "0s"})
    stage.ready()
    with Consumer(stage) as consumer:
        stage.fail_at(operator, "before create", "stop", "search")
        stage.annotate("search", rotate="begin")
        stage.failed(operator, "stop")
        for i in range(10):
            stage.annotate("search", rotate=str(i))
        operator.signal(signal.SIGCONT)
        wait_for(lambda: stage.status().get("handled", {}).get("rotate") == "9", "the last value is answered")
        stage.holds()
    consumer.check()
    assert stage.status()["revision"] <= 3
    assert stage.posts() == stage.status()["revision"]


@scenarios
def a_target_moved_back_and_forth(stage: Stage):
    """U4: whatever was in the midst of it, the key ends where the last edit says, and every other place is cleaned."""
    operator = stage.an_operator()
    stage.create(rotation={"overlap": "0s"})
    stage.ready()
    for place in ("before deliver", "before revoke", "before clean"):
        stage.fail_at(operator, place, "stop", "search")
        for name in ("there", "search-key"):
            stage.patch("search", {"spec": {"target": {"secret": {"name": name}}}})
            if name == "there":
                stage.failed(operator, "stop")
        operator.signal(signal.SIGCONT)
        stage.holds()
        wait_for(lambda: stage.target("there") is None, "the other place is cleaned")
        wait_for(lambda: "previous" not in stage.status(), "one key is left")
        assert stage.home() == "search-key"
        assert len(stage.tagged()) == 1


@scenarios
def an_issuer_changed_during_an_overlap(stage: Stage):
    """U10: each key is revoked at the issuer that made it."""
    stage.an_operator()
    stage.create_issuer("other", url=stage.sandbox.url)
    stage.create(rotation={"overlap": "48h"})
    first = stage.ready()["keyId"]
    stage.annotate("search", rotate="now")
    second = stage.ready(revision=2)["keyId"]
    stage.patch("search", {"spec": {"issuerRef": {"name": "other"}}})
    stage.ready(revision=3)
    assert {first, second} < stage.tagged().keys()
    stage.annotate("search", compromised="now")
    status = stage.ready(revision=4)
    wait_for(lambda: stage.tagged().keys() == {status["keyId"]}, "only the current key lives")
    stage.holds()
    deleted = {exchange.target.rpartition("/")[2] for exchange in stage.proxy.seen if exchange.method == "DELETE"}
    assert deleted == {first, second}, "the third was revoked at the other issuer"


@pytest.mark.parametrize("scenario", scenarios.names)
def test_hands(scenario: str, outcome: Callable[[Scenarios, str], None]):
    """What the scenario's own sentence says."""
    outcome(scenarios, scenario)
