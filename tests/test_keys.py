"""Names, tags, records and the plaintext that cannot print itself."""

from __future__ import annotations

import copy
import json
import logging
import pickle
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.planning.builders import CLUSTER, UID, a_record

from keywright.api.apikey_status import Handled
from keywright.keys import (
    LABEL_LIMIT,
    NAME_LIMIT,
    AttemptId,
    KeyRecord,
    SecretValue,
    Tag,
    default_label,
    end_of_day,
    start_of_day,
)

UNHURRIED = settings(deadline=None, max_examples=60)
"""Other processes of this machine may take their time."""
LOWER = "abcdefghijklmnopqrstuvwxyz0123456789"
TAGS = st.builds(
    Tag,
    cluster=st.text(LOWER + "-", min_size=1, max_size=8),
    uid8=st.text("0123456789abcdef", min_size=8, max_size=8),
    attempt=st.text(LOWER, min_size=8, max_size=8),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
RECORDS = st.builds(
    lambda **fields: replace(a_record(), **fields),
    revision=st.integers(0, 2**31 - 1),
    issued_at=st.integers(1_577_836_800, 2_208_988_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    expires_on=st.none() | st.dates(date(2020, 1, 1), date(2999, 1, 1)),
    workspace_name=st.none() | TEXTS,
    workspace=TEXTS,
    label=TEXTS,
    expiry=st.none() | st.sampled_from(["90d", "2027-01-31"]),
    handled=st.builds(Handled, rotate=st.none() | TEXTS, compromised=st.none() | TEXTS),
)


@UNHURRIED
@given(tag=TAGS, label=st.text(max_size=LABEL_LIMIT))
def test_a_tag_is_read_back_from_the_end_of_any_name(tag: Tag, label: str):
    """Also behind a label that holds another tag; label and tag together fit the issuer's limit."""
    name = tag.name_for(label)
    assert Tag.parse(name) == tag
    assert Tag.parse(f"{label} [kw/other/01234567/aaaaaaaa] {tag}") == tag
    assert Tag.search(tag.cluster, tag.uid8) in name
    assert len(name) <= NAME_LIMIT


@pytest.mark.parametrize(
    "name", [None, "", "no tag", "x [kw/c/01234567/aaaaaaaa] edited", "x [kw/c/01234567/aaaaaaaa]\n", "x [kw/C/01234567/aaaaaaaa]",
             "x [kw/c/0123456/aaaaaaaa]", "x [kw/c/01234567/aaaaaaa]"]
)  # fmt: skip
def test_a_name_with_anything_behind_its_tag_has_none(name: str | None):
    """I8: a tag that was cut or edited is nobody's."""
    assert Tag.parse(name) is None


@UNHURRIED
@given(namespace=st.text(LOWER, min_size=1, max_size=63), name=st.text(LOWER, min_size=1, max_size=253))
def test_a_default_label_fits_and_is_unique(namespace: str, name: str):
    """Cut with a hash where it is too long."""
    label = default_label(namespace, name)
    assert len(label) <= LABEL_LIMIT
    assert label != default_label(namespace, name[:-1] + ("a" if name[-1] != "a" else "b"))


@UNHURRIED
@given(record=RECORDS)
def test_a_record_is_read_back_from_its_strings(record: KeyRecord):
    """Nothing lost, and all of it strings."""
    flat = record.to_strings()
    assert all(isinstance(value, str) for value in flat.values())
    assert KeyRecord.from_strings(flat) == record


@UNHURRIED
@given(record=RECORDS, data=st.data())
def test_a_record_that_lacks_or_garbles_a_field_is_none_or_well_formed(record: KeyRecord, data: st.DataObject):
    """U6: whoever edits an annotation neither raises an exception nor smuggles in a value of another type."""
    flat = record.to_strings()
    name = data.draw(st.sampled_from(sorted(flat)))
    garbled = data.draw(
        TEXTS | st.sampled_from(["[" * 5000, "{}", "[]", "9" * 40, "0001-01-01T00:00:00+14:00", "a/b/c/d"])
    )
    for edited in ({k: v for k, v in flat.items() if k != name}, {**flat, name: garbled}):
        read = KeyRecord.from_strings(edited)
        assert read is None or KeyRecord.from_strings(read.to_strings()) == read


@pytest.mark.parametrize(
    "asked", [{"workspace": 1}, {"label": None}, {"expiry": 90}, {"name": ["x"]}, {"workspace": {"a": 1}}]
)
def test_what_was_asked_has_the_types_of_a_status(asked: dict[str, Any]):
    """Else a settlement would fail on it for ever."""
    flat = a_record().to_strings()
    flat["issued-as"] = json.dumps(json.loads(flat["issued-as"]) | asked)
    assert KeyRecord.from_strings(flat) is None


@pytest.mark.parametrize("revision", ["-1", str(2**31), "1e3", "9" * 5000])
def test_a_revision_that_no_status_can_hold_spoils_the_record(revision: str):
    """The apiserver would refuse the status that repeats it."""
    assert KeyRecord.from_strings(a_record().to_strings() | {"revision": revision}) is None


def test_an_attempt_is_found_by_its_tag():
    """As written into a name by its ApiKey's uid."""
    assert Tag.parse(f"x {Tag.of(CLUSTER, UID, 'aaaaaaa1')}") == Tag(CLUSTER, UID[:8], AttemptId("aaaaaaa1"))


def test_a_plaintext_never_prints(caplog: pytest.LogCaptureFixture):
    """In no form that Python gives a value by itself."""
    plaintext = "HQSxVeryMuchSecretIndeedXXXXUg6Y"
    secret = SecretValue(plaintext)
    logging.getLogger("t").error("%s %r", secret, {"k": secret})
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r:>40}",
        f"{[secret]}",
        caplog.text,
        str(vars(type(secret))),
    ]
    assert not any(plaintext in text for text in shown)
    for serialize in (pickle.dumps, copy.copy, copy.deepcopy, json.dumps):
        with pytest.raises(TypeError) as caught:
            serialize(secret)
        assert plaintext not in str(caught.value)


def test_plaintexts_compare_by_value():
    """Without showing it."""
    assert SecretValue("a") == SecretValue("a")
    assert len({SecretValue("a"), SecretValue("a"), SecretValue("b")}) == 2
    assert SecretValue("a") != "a"


def test_a_day_works_to_its_last_second():
    """In UTC."""
    assert end_of_day(date(2026, 11, 24)) - start_of_day(date(2026, 11, 24)) == timedelta(days=1, seconds=-1)
