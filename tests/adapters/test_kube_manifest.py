"""How a delivery looks as a Secret, and what is read from one: whatever others did to it meanwhile."""

from __future__ import annotations

import base64
import copy
import json

import pytest
from tests.adapters.kube_builders import UID, a_layout, a_record, an_owner
from tests.adapters.kube_wire import holds
from tests.adapters.test_kube_patch import applied
from tests.adapters.wire_server import a_plaintext

from keywright.adapters.kube_manifest import create_body, fence_patch, update_patch
from keywright.adapters.kube_reading import DRIFTED, LAYOUT, MANAGED, Held, read_secret
from keywright.adapters.kube_template import Texts
from keywright.keys import SecretValue
from keywright.planning.layout import layout_digest_of
from keywright.planning.observed import Foreign

TEMPLATE = {"MISTRAL_API_KEY": "${api_key}", "config.ini": "key=${api_key} until=${expires_at}"}


def delivered(layout, owner, plaintext, **record):
    """The Secret as the apiserver keeps it after a delivery."""
    written = a_record(owner, plaintext, **record)
    data = Texts(layout.key, layout.template, written).render(SecretValue(plaintext))
    body = create_body(layout, owner, written, data)
    return {**body, "metadata": {**body["metadata"], "uid": "secret-uid", "resourceVersion": "7"}}


@pytest.mark.parametrize("template", [None, TEMPLATE])
@pytest.mark.parametrize("bound", [True, False])
def test_what_was_delivered_is_read_back_as_it_should_be(template, bound):
    """Owner, record, digest of the plaintext, layout: all that the planner compares; and no plaintext is kept."""
    plaintext, owner = a_plaintext(), an_owner(bound=bound)
    layout = a_layout(template=template, labels={"example.com/team": "a"}, annotations={"example.com/note": "b"})
    secret = delivered(layout, owner, plaintext)
    held = read_secret(secret)
    assert isinstance(held, Held)
    assert (held.present.owner, held.present.owner_uid, held.present.version) == (owner.key, owner.uid, "7")
    assert held.present.record == a_record(owner, plaintext)
    assert held.present.digest == SecretValue(plaintext).digest()
    assert held.present.layout_digest == layout_digest_of(layout, owner)
    assert not holds(repr(held), plaintext)
    assert ("ownerReferences" in secret["metadata"]) is bound, "retained Secrets are not collected with their ApiKey"


def _edit(path, value):
    def edit(secret):
        *way, last = path
        here = secret
        for step in way:
            here = here[step]
        if value is None:
            del here[last]
        else:
            here[last] = value

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        _edit(("metadata", "labels", MANAGED), None),
        _edit(("metadata", "labels", "example.com/team"), "b"),
        _edit(("metadata", "labels", "example.com/team"), None),
        _edit(("metadata", "annotations", "example.com/note"), None),
        _edit(("metadata", "annotations", LAYOUT), None),
        _edit(("metadata", "annotations", LAYOUT), "{"),
        _edit(("metadata", "annotations", LAYOUT), '{"key": "a"}'),
        _edit(("metadata", "ownerReferences"), None),
        _edit(("metadata", "ownerReferences", 0, "uid"), "another"),
        _edit(("type",), "example.com/other"),
        _edit(("data", "config.ini"), None),
        _edit(("data", "config.ini"), base64.b64encode(b"theirs").decode()),
        _edit(("data",), None),
    ],
)
def test_every_edit_is_a_drift(edit):
    """Whatever of ours somebody changes or takes away, the layout is no longer the wanted one, and it is still ours."""
    layout = a_layout(template=TEMPLATE, labels={"example.com/team": "a"}, annotations={"example.com/note": "b"})
    secret = delivered(layout, an_owner(), a_plaintext())
    edit(secret)
    held = read_secret(secret)
    assert isinstance(held, Held)
    assert held.present.layout_digest == DRIFTED


def test_what_others_add_is_no_drift():
    """Their labels, annotations, owners and data keys are theirs."""
    layout, owner, plaintext = a_layout(), an_owner(), a_plaintext()
    secret = delivered(layout, owner, plaintext)
    secret["metadata"]["labels"]["example.com/theirs"] = "x"
    secret["metadata"]["annotations"]["example.com/theirs"] = "x"
    secret["metadata"]["ownerReferences"].append({"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "y"})
    secret["data"]["theirs"] = "eA=="
    held = read_secret(secret)
    assert held.present.layout_digest == layout_digest_of(layout, owner)
    after = applied(secret, update_patch(held.base, layout, owner, a_record(owner, plaintext), {"api-key": b"x"}))
    for part in ("labels", "annotations"):
        assert after["metadata"][part]["example.com/theirs"] == "x"
    assert [reference["kind"] for reference in after["metadata"]["ownerReferences"]] == ["ConfigMap", "ApiKey"]
    assert after["data"]["theirs"] == "eA=="


def test_a_plaintext_that_was_edited_has_another_digest():
    """The record's digest stays, so that the planner sees the difference."""
    secret = delivered(a_layout(), an_owner(), a_plaintext())
    secret["data"]["api-key"] = base64.b64encode(b"spoilt").decode()
    present = read_secret(secret).present
    assert present.digest == SecretValue("spoilt").digest() != present.record.digest
    assert present.layout_digest == DRIFTED


@pytest.mark.parametrize("name", ["key-id", "attempt", "revision", "digest", "issuer", "issued-as"])
def test_half_a_record_is_none(name):
    """A record that somebody spoilt is not trusted in part."""
    secret = delivered(a_layout(), an_owner(), a_plaintext())
    del secret["metadata"]["annotations"][f"keywright.dev/{name}"]
    present = read_secret(secret).present
    assert present.record is None
    assert present.owner_uid == UID


def test_annotations_stripped_by_a_replace_leave_it_ours_by_its_owner():
    """After a kubectl replace without our annotations the label and the ownerReference still name the ApiKey."""
    secret = delivered(a_layout(), an_owner(), a_plaintext())
    secret["metadata"]["annotations"] = {}
    held = read_secret(secret)
    assert isinstance(held, Held)
    assert (held.present.owner, held.present.record) == (an_owner().key, None)
    del secret["metadata"]["ownerReferences"]
    assert isinstance(read_secret(secret), Foreign)
    del secret["metadata"]["labels"]
    found = read_secret(secret)
    assert isinstance(found, Foreign)
    assert found.whose == "a Secret that keywright did not make"


def test_a_changed_layout_takes_away_what_it_no_longer_wants():
    """Data keys, labels and annotations of the old layout go, the new ones come, and the fence is lifted."""
    owner, plaintext = an_owner(), a_plaintext()
    old = a_layout(template=TEMPLATE, labels={"example.com/old": "a"}, annotations={"example.com/old": "a"})
    new = a_layout(key="key", labels={"example.com/new": "b"})
    secret = applied(delivered(old, owner, plaintext), fence_patch("7", "a mark"))
    held = read_secret(secret)
    assert held.present.fence == "a mark"
    after = applied(
        secret, update_patch(held.base, new, owner, a_record(owner, plaintext), {"key": plaintext.encode()})
    )
    assert set(after["data"]) == {"key"}
    assert after["metadata"]["labels"] == {MANAGED: "true", "example.com/new": "b"}
    assert "example.com/old" not in after["metadata"]["annotations"]
    present = read_secret(after).present
    assert (present.fence, present.layout_digest) == (None, layout_digest_of(new, owner))


def test_a_record_that_lost_an_optional_field_loses_its_annotation():
    """A key that does not expire follows one that did: the old date must not stay."""
    owner, layout = an_owner(), a_layout()
    secret = delivered(layout, owner, a_plaintext())
    record = a_record(owner, "other", expires_on=None)
    after = applied(secret, update_patch(read_secret(secret).base, layout, owner, record, {"api-key": b"other"}))
    assert read_secret(after).present.record == record


def test_a_fence_is_always_a_change():
    """The same mark twice is two different patches: the version moves on each time."""
    first, second = fence_patch("7", "mark"), fence_patch("8", "mark")
    for one in (first, second):
        del one["metadata"]["resourceVersion"]
    assert first != second


def test_a_fence_on_an_absent_target_is_an_empty_secret_of_ours():
    """No record, no data, and the mark."""
    owner, layout = an_owner(), a_layout(type="example.com/mistral")
    body = create_body(layout, owner, None, {}, "mark")
    body["metadata"] |= {"uid": "u", "resourceVersion": "1"}
    present = read_secret(body).present
    assert (present.owner, present.record, present.digest, present.fence) == (owner.key, None, None, "mark")
    assert body["data"] == {}


@pytest.mark.parametrize(
    "hostile",
    [
        "null",
        "7",
        '"x"',
        "[]",
        '{"key": 1}',
        json.dumps({"key": "", "template": {"a": 1}, "labels": {}, "annotations": {}}),
    ],
)
def test_a_hostile_layout_annotation_is_no_error(hostile):
    """Anybody who may edit the Secret may write there what they like."""
    secret = delivered(a_layout(), an_owner(), a_plaintext())
    secret["metadata"]["annotations"][LAYOUT] = hostile
    assert read_secret(copy.deepcopy(secret)).present.layout_digest == DRIFTED


NASTY = (
    "",
    "[" * 100_000,
    '{"workspace": 1, "label": [], "expiry": {}, "name": true}',
    '{"workspace": "w", "label": "l", "expiry": null, "name": 7}',
    "9" * 5000,
    "0001-01-01T00:00:00+23:00",
    "9999-12-31",
    "a/b/c/d",
    "KeyIssuer//",
    "\ud83d\ude00",
    "\x00",
)


@pytest.mark.parametrize("nasty", NASTY, ids=lambda text: text[:12])
def test_whatever_the_annotations_say_a_secret_can_be_read(nasty):
    """A list that one Secret makes fail would keep the operator from starting, for everybody."""
    plain = delivered(a_layout(template=TEMPLATE), an_owner(), a_plaintext())
    names = [name for name in plain["metadata"]["annotations"] if name.startswith("keywright.dev/")]
    assert len(names) > 10
    for name in names:
        secret = copy.deepcopy(plain)
        secret["metadata"]["annotations"][name] = nasty
        assert isinstance(read_secret(secret), Held | Foreign)
