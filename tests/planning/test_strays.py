"""Which live keys are nobody's: each row a key, what is written down, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from tests.planning.builders import CLUSTER, KEY, UID

from keywright.keys import KeyId, ListedKey, ResourceKey, Tag
from keywright.planning.strays import survey

SECRET = ResourceKey("search", "mistral-key")
TAGGED = ListedKey(KeyId("key-1"), f"any label {Tag.of(CLUSTER, UID, 'aaaaaaa1')}", "abcd...wxyz", None, None, None)
DAY = "2026-11-24"


def an_object(uid: str = UID, **status: Any) -> dict[str, Any]:
    """An ApiKey as JSON."""
    return {"metadata": {"namespace": KEY.namespace, "name": KEY.name, "uid": uid}, "status": status}


@dataclass(frozen=True)
class Row:
    """One listed key; `stray`: a part of why it is one, None where it is none."""

    stray: str | None
    key: ListedKey = TAGGED
    objects: list[dict[str, Any]] = field(default_factory=lambda: [an_object()])
    delivered: dict[KeyId, ResourceKey] = field(default_factory=dict)
    retained: bool = False


def attempted(**attempt: Any) -> list[dict[str, Any]]:
    """An ApiKey with this attempt open."""
    return [an_object(attempt={"id": "aaaaaaa1", **attempt})]


TABLE = {
    "no ApiKey of this uid": Row("no ApiKey has a UID that begins with 0d3a1c2b", objects=[an_object("f" * 36)]),
    "no ApiKey at all, of a lost cluster": Row("no ApiKey has a UID", objects=[]),
    "its ApiKey knows nothing": Row("ApiKey search/pipeline knows nothing of attempt aaaaaaa1"),
    "its ApiKey has no status at all": Row(
        "knows nothing of attempt", objects=[{k: v for k, v in an_object().items() if k != "status"}]
    ),
    "its ApiKey names another key": Row(
        "ApiKey search/pipeline names another key", objects=[an_object(keyId="another", previous=[])]
    ),
    "the current key": Row(None, objects=[an_object(keyId="key-1")]),
    "an older key in its overlap": Row(None, objects=[an_object(keyId="k", previous=[{"keyId": "key-1"}])]),
    "named by an ApiKey that adopted it": Row(None, objects=[an_object("f" * 36, keyId="key-1")]),
    "an attempt under way": Row(None, objects=attempted(startedAt=f"{DAY}T12:00:00Z")),
    "an attempt closed": Row(
        None,
        objects=[an_object(closedAttempts=[{"id": "aaaaaaa1", "closedAt": f"{DAY}T12:00:00Z"}])],
        key=replace(TAGGED, last_used=date(2026, 11, 24)),
    ),
    "another ApiKey's attempt of the same id": Row(
        "no ApiKey has a UID", objects=[{**attempted()[0], "metadata": an_object("f" * 36)["metadata"]}]
    ),
    "an attempt whose key somebody uses": Row(
        "an interrupted attempt of ApiKey search/pipeline made it, and somebody uses it",
        key=replace(TAGGED, last_used=date(2026, 11, 25)),
        objects=attempted(startedAt=f"{DAY}T12:00:00Z"),
    ),
    "an attempt closed on a later day than it began is judged by its beginning": Row(
        "somebody uses it",
        key=replace(TAGGED, last_used=date(2026, 11, 25)),
        objects=[
            an_object(
                closedAttempts=[{"id": "aaaaaaa1", "startedAt": f"{DAY}T12:00:00Z", "closedAt": "2026-11-25T12:00:00Z"}]
            )
        ],
    ),
    "an attempt whose beginning cannot be read is the planner's, used or not": Row(
        None, key=replace(TAGGED, last_used=date(2026, 11, 25)), objects=attempted(startedAt="soon")
    ),
    "retained: a delivered record names it": Row(None, objects=[], delivered={TAGGED.key_id: SECRET}, retained=True),
    "named and delivered: neither": Row(None, objects=[an_object(keyId="key-1")], delivered={TAGGED.key_id: SECRET}),
    "without a tag": Row(None, key=replace(TAGGED, name="by hand")),
    "without a name": Row(None, key=replace(TAGGED, name=None)),
    "with another cluster's tag": Row(None, key=replace(TAGGED, name=f"x {Tag.of('another', UID, 'aaaaaaa1')}")),
    "with a tag that somebody wrote behind": Row(None, key=replace(TAGGED, name=f"{TAGGED.name} (old)")),
}


@pytest.mark.parametrize("sentence", TABLE)
def test_survey(sentence: str):
    """Each row: stray and why, or retained and where, or neither."""
    row = TABLE[sentence]
    found = survey([row.key], CLUSTER, row.objects, row.delivered)
    assert [stray.key for stray in found.strays] == ([row.key] if row.stray else [])
    assert not row.stray or row.stray in found.strays[0].why
    assert [one.place for one in found.retained] == ([SECRET] if row.retained else [])


def test_a_survey_counts_what_carries_the_tag():
    """Ours, whatever became of them; nobody else's."""
    others = [replace(TAGGED, key_id=KeyId(f"o-{i}"), name=f"by hand {i}") for i in range(3)]
    found = survey([TAGGED, *others], CLUSTER, [an_object(keyId="key-1")], {})
    assert (found.tagged, found.strays, found.retained) == (1, (), ())


def test_the_day_that_counts_is_the_issuers():
    """UTC, whatever zone a time was written in."""
    begun = datetime(2026, 11, 25, 0, 30, tzinfo=UTC)
    said = begun.astimezone(tz=datetime.fromisoformat("2026-01-01T00:00:00-05:00").tzinfo).isoformat()
    row = replace(TAGGED, last_used=date(2026, 11, 25))
    assert survey([row], CLUSTER, attempted(startedAt=said), {}).strays == ()
