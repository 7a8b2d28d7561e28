"""How a delivery looks in Vault: read back as it was written, whatever people do to it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.planning.builders import CLUSTER, KEY, UID, a_record

from keywright.adapters.kube_template import Texts
from keywright.adapters.vault_manifest import (
    RECORD,
    Held,
    custom_of,
    emptied,
    fenced,
    find_plaintext,
    foreign_fields,
    read_answer,
    record_of,
    seen_in,
    version_data,
)
from keywright.keys import SecretValue
from keywright.planning.layout import Owner, layout_digest_of
from keywright.planning.observed import Foreign, TargetLayout

OWNER = Owner(KEY, UID, CLUSTER, bound=True)
PLAINTEXT = SecretValue("x1" * 16)
RECORDED = replace(a_record(), digest=PLAINTEXT.digest())
LAYOUT = TargetLayout("search", "VaultStore/vault/search/mistral", "api_key", None, {}, {}, "")


def delivered(layout: TargetLayout = LAYOUT, foreign: dict[str, Any] | None = None) -> dict[str, Any]:
    """A version's data."""
    texts = Texts(layout.key, layout.template, RECORDED).render(PLAINTEXT)
    return version_data(layout, OWNER, RECORDED, texts, foreign=foreign or {})


def answer(data: dict[str, Any] | None, **metadata: Any) -> dict[str, Any]:
    """As Vault gives it."""
    plain = {"version": 3, "created_time": "2026-01-01T00:00:00Z", "deletion_time": "", "destroyed": False}
    return {"data": data, "metadata": {**plain, "custom_metadata": custom_of(OWNER), **metadata}}


def test_a_delivery_reads_back():
    """Plaintext in the user's field, four fields for people, the rest in one; all of it of one version."""
    data = delivered()
    assert set(data) == {
        "api_key",
        "keywright.dev/key-id",
        "keywright.dev/attempt",
        "keywright.dev/revision",
        "keywright.dev/expires-on",
        RECORD,
    }
    assert record_of(data) == RECORDED
    assert find_plaintext(data, RECORDED) == PLAINTEXT
    found = read_answer(answer(data), CLUSTER)
    assert isinstance(found, Held)
    assert found.present.record == RECORDED
    assert found.present.version == "3@2026-01-01T00:00:00Z"
    assert found.present.layout_digest == layout_digest_of(LAYOUT, OWNER)
    assert PLAINTEXT.reveal() not in repr(found)


def test_metadata_alone_tells_whether_anything_moved():
    """The same from a version's answer and from the path's own metadata."""
    data = answer(delivered())["metadata"]
    path = {
        "current_version": 3,
        "custom_metadata": data["custom_metadata"],
        "versions": {"3": {"created_time": data["created_time"], "deletion_time": "", "destroyed": False}},
    }
    assert seen_in(path) == seen_in(data)
    for moved in (
        {**path, "current_version": 4},
        {**path, "custom_metadata": {}},
        {**path, "versions": {"3": {**path["versions"]["3"], "destroyed": True}}},
        {**path, "versions": {"3": {**path["versions"]["3"], "deletion_time": "2026-01-02T00:00:00Z"}}},
        {**path, "versions": {"3": {**path["versions"]["3"], "created_time": "2026-01-02T00:00:00Z"}}},
    ):
        assert seen_in(moved) != seen_in(data)


@pytest.mark.parametrize(
    "change",
    [
        {"api_key": "spoilt"},
        {"api_key": 7},
        {"api_key": None},
        {"keywright.dev/key-id": "another"},
        {"keywright.dev/revision": "x"},
        {RECORD: "{"},
        {RECORD: "[]"},
        {RECORD: json.dumps({"apikey": "search/mistral", "apikey-uid": UID, "cluster": CLUSTER, "fields": 3})},
        {RECORD: None},
        {RECORD: "[" * 100_000},
    ],
)
def test_what_was_spoilt_shows(change):
    """It stays ours, as the custom metadata says, and is never taken for what was delivered."""
    found = read_answer(answer({**delivered(), **change}), CLUSTER)
    assert isinstance(found, Held)
    present = found.present
    assert present.owner == KEY
    holds = present.record == RECORDED and present.digest == RECORDED.digest
    assert not holds or present.layout_digest != layout_digest_of(LAYOUT, OWNER)


def test_a_deleted_version_of_ours_is_ours_and_empty():
    """So that it is written over, and cleaned."""
    found = read_answer(answer(None, deletion_time="2026-01-02T00:00:00Z"), CLUSTER)
    assert isinstance(found, Held)
    assert (found.present.record, found.present.digest) == (None, None)


def test_whose_a_path_is():
    """Somebody's, another cluster's, or ours."""
    theirs = read_answer(answer({"password": "x"}, custom_metadata=None), CLUSTER)
    version = "3@2026-01-01T00:00:00Z"
    assert theirs == Foreign("a path that keywright did not create", version=version, mergeable=True)
    gone = read_answer(answer(None, custom_metadata=None, deletion_time="x"), CLUSTER)
    assert isinstance(gone, Foreign)
    assert "latest version somebody deleted" in gone.whose
    clone = read_answer(answer(delivered()), "othercls")
    assert isinstance(clone, Foreign)
    assert (clone.mergeable, CLUSTER in clone.whose) == (False, True)


def test_what_others_keep_is_kept_apart():
    """Their fields survive a fence, a delivery and our going; ours do not."""
    theirs = {"password": "x", "nested": {"a": [1]}}
    data = delivered(foreign=theirs)
    assert foreign_fields(data) == theirs
    marked = fenced(data, OWNER, "aaaaaaa1")
    assert foreign_fields(marked) == theirs
    assert record_of(marked) == RECORDED
    assert read_answer(answer(marked), CLUSTER).present.fence == "aaaaaaa1"
    assert emptied(data, tombstone=False) == theirs
    tombstone = emptied(delivered(), tombstone=True)
    assert set(tombstone) == {RECORD}
    assert read_answer(answer(tombstone), CLUSTER).present.record is None


def test_custom_metadata_of_others_stays():
    """Ours comes and goes beside it."""
    before = {"team": "search"}
    ours = custom_of(OWNER, before)
    assert ours == {
        "team": "search",
        "keywright.dev/apikey": str(KEY),
        "keywright.dev/apikey-uid": UID,
        "keywright.dev/cluster": CLUSTER,
    }
    assert custom_of(OWNER, ours, ours=False) == before


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*delivered(), "other"]), JSON, max_size=6), JSON)
def test_whatever_stands_there_can_be_read(data, rest):
    """Anybody may write anything: it is somebody's, or ours and not what was delivered."""
    for there in (data, {**delivered(), **data}, {**delivered(), RECORD: json.dumps(rest)}):
        found = read_answer(answer(there, custom_metadata=None), CLUSTER)
        if isinstance(found, Held) and found.present.record == RECORDED:
            assert found.present.digest in (None, RECORDED.digest) or there["api_key"] != PLAINTEXT.reveal()
