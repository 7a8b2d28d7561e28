"""What is read from a Secret that others gave away, stripped or overwrote."""

from __future__ import annotations

import base64
import copy

import pytest
from tests.adapters.kube_builders import a_layout, a_record, an_owner
from tests.adapters.kube_wire import holds
from tests.adapters.test_kube_manifest import delivered
from tests.adapters.test_kube_patch import applied
from tests.adapters.wire_server import a_plaintext

from keywright.adapters.kube_manifest import release_patch, take_over_patch, update_patch
from keywright.adapters.kube_reading import ADOPTABLE, ADOPTED, LAYOUT, MANAGED, Held, base_of, read_secret, writer_of
from keywright.keys import SecretValue
from keywright.planning.layout import layout_digest_of
from keywright.planning.observed import Foreign, HandMade, Sought

THEIR_OWNER = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "w"}
TEMPLATE = {"MISTRAL_API_KEY": "${api_key}", "config.ini": "key=${api_key} id=${key_id}"}


def given(**data: str) -> dict:
    """A Secret that somebody made and gives to the ApiKey `search`."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "search-key",
            "namespace": "team",
            "uid": "secret-uid",
            "resourceVersion": "7",
            "labels": {"example.com/theirs": "a"},
            "annotations": {ADOPTABLE: "search", "example.com/theirs": "a"},
            "ownerReferences": [THEIR_OWNER],
        },
        "type": "Opaque",
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }


def over(secret: dict, layout, plaintext: str) -> dict:
    """A delivery over what stands there."""
    owner = an_owner()
    patch = update_patch(base_of(secret), layout, owner, a_record(owner, plaintext), {layout.key: plaintext.encode()})
    return applied(secret, patch)


def test_what_others_put_there_outlives_all_that_is_ours():
    """Taken over, delivered into, delivered into otherwise, released: as it was, less the value that ours replaced."""
    secret = given(**{"api-key": "by hand", "theirs": "x"})
    layout = a_layout(adopted=True, labels={"example.com/ours": "b"}, annotations={"example.com/ours": "b"})
    after = over(secret, layout, a_plaintext())
    held = read_secret(after)
    assert isinstance(held, Held)
    assert (held.present.adopted, held.present.layout_digest) == (True, layout_digest_of(layout, an_owner()))
    assert after["metadata"]["ownerReferences"] == [THEIR_OWNER], "garbage collection would take their data along"
    assert after["metadata"]["annotations"][ADOPTED] == "true"
    after = over(after, a_layout(adopted=True, key="another"), a_plaintext())
    assert set(after["data"]) == {"another", "theirs"}
    left = applied(after, release_patch(after))
    expected = given(theirs="x")
    assert (left["metadata"], left["data"]) == (expected["metadata"], expected["data"])


def test_what_was_taken_over_and_never_delivered_into_is_released_whole():
    """Nothing says that any of its data is ours, also where it stands under our data key."""
    secret = given(**{"api-key": "by hand"})
    fenced = applied(secret, take_over_patch("7", an_owner(), "mark"))
    held = read_secret(fenced)
    assert isinstance(held, Held)
    assert (held.present.adopted, held.present.fence, held.present.data_keys) == (True, "mark", ())
    assert applied(fenced, release_patch(fenced)) == secret


@pytest.mark.parametrize(
    ("value", "ending"),
    [
        ("0123456789abcdef", "cdef"),
        ("0123456789abcdef\n", "cdef"),
        ("0123456789abcde", None),
        ("two words 0123456789abcdef", None),
        ("schlüssel-0123456789abcdef", None),
    ],
)
def test_no_more_than_the_end_of_a_key_is_told(value: str, ending: str | None):
    """Four characters, of one visible word of sixteen at least."""
    found = read_secret(given(**{"api-key": value, "theirs": "0123456789abcdef"}), Sought(a_layout(), None))
    assert isinstance(found, Foreign)
    assert found.hand_made == (HandMade("api-key", ending),)
    assert value.strip() not in repr(found)


def test_of_a_text_around_a_key_no_end_is_told():
    """Its last characters need not be the key's."""
    secret = given(**{"config.ini": "key=0123456789abcdef0123456789abcdef"})
    found = read_secret(secret, Sought(a_layout(template=TEMPLATE), None))
    assert isinstance(found, Foreign)
    assert found.hand_made == (HandMade("config.ini", None),)


@pytest.mark.parametrize("template", [None, TEMPLATE])
@pytest.mark.parametrize(
    "left", [(), ("key-id",), ("layout",), ("apikey",), ("digest", "layout"), ("apikey", "apikey-uid")]
)
def test_whatever_was_stripped_the_plaintext_is_known_again(template, left):
    """By its digest, with these annotations left and no other, with the label and the owner or without; and it is not kept."""
    owner, plaintext = an_owner(), a_plaintext()
    layout = a_layout(template=template)
    whole = delivered(layout, owner, plaintext)
    sought = Sought(layout, a_record(owner, plaintext))
    for labels in (True, False):
        secret = copy.deepcopy(whole)
        kept = {f"keywright.dev/{name}" for name in left}
        annotations = secret["metadata"]["annotations"]
        secret["metadata"]["annotations"] = {k: v for k, v in annotations.items() if k in kept}
        if not labels:
            del secret["metadata"]["labels"], secret["metadata"]["ownerReferences"]
        found = read_secret(secret, sought)
        told = found.present if isinstance(found, Held) else found
        assert told.digest == SecretValue(plaintext).digest()
        assert not holds(repr(found), plaintext)
        secret["data"] = {key: base64.b64encode(b"spoilt").decode() for key in secret["data"]}
        found = read_secret(secret, sought)
        told = found.present if isinstance(found, Held) else found
        assert told.digest != SecretValue(plaintext).digest()


@pytest.mark.parametrize(
    "claim",
    [
        {"annotations": {"keywright.dev/apikey": "team/another"}},
        {
            "ownerReferences": [
                {"apiVersion": "keywright.dev/v1alpha1", "kind": "ApiKey", "name": "another", "uid": "x"}
            ]
        },
    ],
)
def test_what_names_another_api_key_is_not_known_again(claim):
    """Whatever stands in it."""
    owner, plaintext = an_owner(), a_plaintext()
    secret = given(**{"api-key": plaintext})
    secret["metadata"] |= claim
    found = read_secret(secret, Sought(a_layout(), a_record(owner, plaintext)))
    assert isinstance(found, Foreign)
    assert found.digest is None


def test_a_layout_that_was_stripped_leaves_adoption_to_who_remembers():
    """Unless the mark, or what gave the Secret away, still tells."""
    secret = over(given(theirs="x"), a_layout(adopted=True), a_plaintext())
    del secret["metadata"]["annotations"][LAYOUT]
    assert read_secret(secret).present.adopted is True
    del secret["metadata"]["annotations"][ADOPTED]
    assert read_secret(secret).present.adopted is True
    del secret["metadata"]["annotations"][ADOPTABLE]
    assert read_secret(secret).present.adopted is None
    own = delivered(a_layout(), an_owner(), a_plaintext())
    assert read_secret(own).present.adopted is False
    assert MANAGED in own["metadata"]["labels"]


def test_a_mark_that_says_otherwise_than_the_layout_is_a_drift():
    """Either was edited: it is written again, as adopted."""
    secret = delivered(a_layout(), an_owner(), a_plaintext())
    secret["metadata"]["annotations"][ADOPTED] = "true"
    present = read_secret(secret).present
    assert (present.adopted, present.layout_digest) == (True, "drifted")


def an_entry(manager: str, time: str, *fields: str) -> dict:
    """Of managedFields; `fields` are data keys."""
    return {"manager": manager, "time": time, "fieldsV1": {"f:data": {f"f:{name}": {} for name in fields}}}


def test_the_last_writer_of_our_data_is_named_and_never_keywright():
    """Whoever wrote the data key last; where nobody owns it any more, whoever wrote data at all."""
    entries = [
        an_entry("kubectl", "2026-11-24T10:00:00Z", "api-key"),
        an_entry("argocd", "2026-11-24T11:00:00Z", "api-key", "other"),
        an_entry("late", "2026-11-24T12:00:00Z", "other"),
        an_entry("keywright", "2026-11-24T13:00:00Z", "api-key"),
        {"manager": "labeller", "time": "2026-11-24T14:00:00Z", "fieldsV1": {"f:metadata": {}}},
    ]
    assert writer_of({"metadata": {"managedFields": entries}}, ["api-key"]) == "argocd"
    assert writer_of({"metadata": {"managedFields": entries}}, ["gone"]) == "late"
    assert writer_of({"metadata": {"managedFields": entries[-2:]}}, ["api-key"]) is None
    assert writer_of({"metadata": {}}, ["api-key"]) is None
