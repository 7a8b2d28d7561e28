"""Secrets as a target on the real apiserver, under exactly the rights that manifests/ give the operator."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.adapters.kube_builders import a_delivery, a_layout, an_api_key, an_owner
from tests.adapters.kube_secrecy import MERGE, a_key, refused
from tests.adapters.kube_wire import holds

from keywright.adapters.kube_secret import SecretSink
from keywright.errors import Conflict, Rejected
from keywright.keys import KeyId, SecretValue
from keywright.planning.layout import layout_digest_of
from keywright.planning.observed import Absent, Foreign, Present, Sought

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Plane


pytestmark = [pytest.mark.plane, pytest.mark.usefixtures("no_plaintext_in_logs")]

TEMPLATE = {"MISTRAL_API_KEY": "${api_key}", "config.ini": "key=${api_key} until=${expires_at}"}


@pytest.fixture
def sink(api):
    """A sink that has seen nothing yet."""
    return SecretSink(api)


@pytest.fixture
def owner(plane: Plane, namespace: str):
    """An ApiKey that is there: the garbage collector takes Secrets whose owner is not."""
    made = plane.call("POST", f"/apis/keywright.dev/v1alpha1/namespaces/{namespace}/apikeys", an_api_key(namespace))
    return an_owner(namespace, uid=made["metadata"]["uid"])


def data_of(secret: dict[str, Any]) -> dict[str, str]:
    """Decoded."""
    return {name: base64.b64decode(value).decode() for name, value in secret.get("data", {}).items()}


async def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """What an awaitable condition gives, once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := await condition()):
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.1)
    return found


async def test_a_delivery_stands_as_it_should_and_is_known_at_once(sink, secrets_of, namespace, owner):
    """Plaintext and record in one Secret; what is read afterwards, by us or anew, is the same."""
    layout = a_layout(namespace, template=TEMPLATE, labels={"example.com/team": "a"}, type="example.com/mistral")
    plaintext = a_key()
    assert await sink.read(namespace, layout.name) == Absent()
    await sink.rehearse(layout, owner, None)
    assert await sink.read(namespace, layout.name) == Absent(), "a rehearsal changes nothing"
    present = await sink.deliver(a_delivery(layout, owner, plaintext), None)
    secret = secrets_of("GET", layout.name)
    assert data_of(secret) == {
        "MISTRAL_API_KEY": plaintext,
        "config.ini": f"key={plaintext} until=2027-01-31T23:59:59Z",
    }
    assert secret["type"] == "example.com/mistral"
    assert present.digest == SecretValue(plaintext).digest()
    assert present.layout_digest == layout_digest_of(layout, owner)
    assert await sink.read(namespace, layout.name) == present == sink.known(namespace, layout.name)
    assert list(sink.recorded()) == [present.record.key_id]
    field_managers = {entry["manager"] for entry in secret["metadata"]["managedFields"]}
    assert not holds(str(secret["metadata"]), plaintext)
    assert len(field_managers) == 1


async def test_a_writer_that_lost_the_race_is_told_so(sink, secrets_of, namespace, owner):
    """Create over ours, update of an older version, update of what is gone: Conflict, and the first stays."""
    layout, first = a_layout(namespace), a_key()
    old = await sink.deliver(a_delivery(layout, owner, first), None)
    await refused(sink.deliver(a_delivery(layout, owner, a_key()), None), Conflict)
    new = await sink.deliver(a_delivery(layout, owner, first, revision=2), old.version)
    other = SecretSink(sink._api)
    for late in (sink, other):
        await refused(late.deliver(a_delivery(layout, owner, a_key()), old.version), Conflict)
        await refused(late.rehearse(layout, owner, old.version), Conflict)
    assert data_of(secrets_of("GET", layout.name)) == {"api-key": first}
    secrets_of("DELETE", layout.name)
    await refused(sink.deliver(a_delivery(layout, owner, a_key()), new.version), Conflict)
    await refused(sink.fence(layout, owner, "mark", new.version), Conflict)


async def test_a_foreign_secret_is_never_touched(sink, secrets_of, namespace, owner):
    """Neither created over nor updated by its version, fenced or rewritten; it is read as somebody else's."""
    layout = a_layout(namespace)
    theirs = secrets_of("POST", "", {"metadata": {"name": layout.name}, "stringData": {"api-key": "theirs"}})
    version = theirs["metadata"]["resourceVersion"]
    state = await sink.read(namespace, layout.name)
    assert isinstance(state, Foreign)
    assert (state.whose, state.version) == ("a Secret that keywright did not make", version)
    await refused(sink.rehearse(layout, owner, None), Conflict)
    await refused(sink.deliver(a_delivery(layout, owner, a_key()), None), Conflict)
    await refused(sink.deliver(a_delivery(layout, owner, a_key()), version))
    await refused(sink.fence(layout, owner, "mark", None), Conflict)
    assert secrets_of("GET", layout.name)["metadata"]["resourceVersion"] == version


async def test_after_a_fence_a_late_delivery_is_a_conflict(sink, namespace, owner):
    """A frozen leader that saw the version before, or nothing at all, can no longer deliver."""
    layout = a_layout(namespace)
    frozen = SecretSink(sink._api)
    assert await frozen.read(namespace, layout.name) == Absent()
    fenced = await sink.fence(layout, owner, "a1b2c3d4", None)
    assert (fenced.record, fenced.digest, fenced.fence, fenced.owner) == (None, None, "a1b2c3d4", owner.key)
    await refused(frozen.deliver(a_delivery(layout, owner, a_key()), None), Conflict)
    present = await sink.deliver(a_delivery(layout, owner, a_key()), fenced.version)
    assert present.fence is None
    again = await sink.fence(layout, owner, "mark", present.version)
    assert again.version != present.version
    assert again.digest == present.digest
    same = await sink.fence(layout, owner, "mark", again.version)
    assert same.version != again.version, "the same mark twice is a change each time"
    await refused(frozen.deliver(a_delivery(layout, owner, a_key()), present.version), Conflict)


async def test_a_new_layout_is_written_with_the_same_key(sink, secrets_of, namespace, owner):
    """Key, template, labels, owner: rewritten in place; what others added stays; the record is that of the same key."""
    plaintext = a_key()
    layouts = [
        a_layout(namespace),
        a_layout(namespace, template=TEMPLATE, labels={"example.com/a": "1"}),
        a_layout(namespace, key="another", annotations={"example.com/b": "2"}),
    ]
    present = await sink.deliver(a_delivery(layouts[0], owner, plaintext), None)
    secrets_of(
        "PATCH", "search-key", {"stringData": {"theirs": "x"}, "metadata": {"labels": {"example.com/theirs": "x"}}}
    )
    present = await sink.read(namespace, "search-key")
    for layout in (*layouts[1:], layouts[0]):
        present = await sink.rewrite(layout, owner, present.record, present.version)
        secret = secrets_of("GET", "search-key")
        texts = {name: text for name, text in data_of(secret).items() if name != "theirs"}
        assert set(texts) == set(layout.template or [layout.key])
        assert all(plaintext in text for text in texts.values())
        assert secret["metadata"]["labels"]["example.com/theirs"] == "x"
        assert set(layout.labels) == {n for n in secret["metadata"]["labels"] if n == "example.com/a"}
        assert present.layout_digest == layout_digest_of(layout, owner)
        assert present.record.digest == present.digest == SecretValue(plaintext).digest()


async def test_a_re_created_apikey_takes_its_secret_over(sink, secrets_of, namespace):
    """Rewritten for another uid, record and ownerReference name the new one; the key stays."""
    layout, plaintext = a_layout(namespace), a_key()
    old = an_owner(namespace, bound=False)
    present = await sink.deliver(a_delivery(layout, old, plaintext), None)
    assert "ownerReferences" not in secrets_of("GET", layout.name)["metadata"], "retained: not collected with its owner"
    new = an_owner(namespace, uid="99999999-1111-4222-8333-944444444444", bound=False)
    record = replace(present.record, owner=new.key, owner_uid=new.uid)
    present = await sink.rewrite(layout, new, record, present.version)
    assert (present.owner_uid, present.record.owner_uid) == (new.uid, new.uid)
    assert data_of(secrets_of("GET", layout.name)) == {"api-key": plaintext}


async def test_what_was_edited_is_not_rewritten(sink, secrets_of, namespace, owner):
    """A plaintext that somebody changed is not laid out anew as if it were the key; nor one that changed meanwhile."""
    layout = a_layout(namespace)
    present = await sink.deliver(a_delivery(layout, owner, a_key()), None)
    secrets_of("PATCH", layout.name, {"stringData": {"api-key": "spoilt"}})
    await refused(sink.rewrite(layout, owner, present.record, present.version), Conflict)
    spoilt = await sink.read(namespace, layout.name)
    assert spoilt.digest != spoilt.record.digest
    await refused(sink.rewrite(layout, owner, spoilt.record, spoilt.version), Conflict)
    secrets_of("DELETE", layout.name)
    await refused(sink.rewrite(layout, owner, spoilt.record, spoilt.version), Conflict)


async def test_stripped_labels_and_annotations_are_drifts_and_mended(sink, secrets_of, namespace, owner):
    """The label that the watch selects by, and kubectl replace without our annotations: still ours, and written whole again."""
    layout, plaintext = a_layout(namespace), a_key()
    await sink.deliver(a_delivery(layout, owner, plaintext), None)
    secrets_of("PATCH", layout.name, {"metadata": {"labels": None}})
    present = await sink.read(namespace, layout.name)
    assert present.record is not None
    assert present.layout_digest != layout_digest_of(layout, owner)
    present = await sink.rewrite(layout, owner, present.record, present.version)
    assert present.layout_digest == layout_digest_of(layout, owner)
    record = present.record
    secrets_of("PATCH", layout.name, {"metadata": {"annotations": None}})
    present = await sink.read(namespace, layout.name, Sought(layout, record))
    assert isinstance(present, Present)
    assert (present.record, present.digest) == (None, record.digest)
    present = await sink.rewrite(layout, owner, record, present.version)
    assert (present.record, present.layout_digest) == (record, layout_digest_of(layout, owner))


async def test_cleaning_names_the_version_it_was_decided_for(sink, secrets_of, namespace, owner):
    """Changed since: Conflict, and it stays. Gone already, or made again by somebody else: never theirs."""
    layout = a_layout(namespace)
    present = await sink.deliver(a_delivery(layout, owner, a_key()), None)
    secrets_of("PATCH", layout.name, {"stringData": {"theirs": "x"}})
    await refused(sink.clean(namespace, layout.name, present.version, adopted=False), Conflict)
    present = await sink.read(namespace, layout.name)
    await sink.clean(namespace, layout.name, present.version, adopted=False)
    assert await sink.read(namespace, layout.name) == Absent()
    assert sink.known(namespace, layout.name) is None
    assert sink.recorded() == {}
    await sink.clean(namespace, layout.name, present.version, adopted=False)
    secrets_of("POST", "", {"metadata": {"name": layout.name}})
    await refused(sink.clean(namespace, layout.name, present.version, adopted=False), Conflict)
    assert secrets_of("GET", layout.name)


async def test_an_exhausted_quota_is_said_by_the_rehearsal(sink, plane, namespace, owner):
    """Before a key is issued, with the numbers."""
    quota = {"metadata": {"name": "few"}, "spec": {"hard": {"count/secrets": "0", "secrets": "0"}}}
    plane.call("POST", f"/api/v1/namespaces/{namespace}/resourcequotas", quota)
    status = {"status": {"hard": quota["spec"]["hard"], "used": {"count/secrets": "0", "secrets": "0"}}}
    plane.call("PATCH", f"/api/v1/namespaces/{namespace}/resourcequotas/few/status", status, content_type=MERGE)
    layout = a_layout(namespace)

    async def rehearsed() -> str | None:
        try:
            await sink.rehearse(layout, owner, None)
        except Rejected as error:
            return str(error)
        return None

    assert "exceeded quota: few" in await until(rehearsed)
    assert "exceeded quota: few, requested: " in await refused(sink.deliver(a_delivery(layout, owner, a_key()), None))


async def test_an_immutable_secret_is_said_by_the_rehearsal(sink, secrets_of, namespace, owner):
    """Somebody froze it: the message says what to do."""
    layout = a_layout(namespace)
    await sink.deliver(a_delivery(layout, owner, a_key()), None)
    frozen = secrets_of("PATCH", layout.name, {"immutable": True})["metadata"]["resourceVersion"]
    hint = "the Secret is immutable: delete it, or name another target"
    assert hint in await refused(sink.rehearse(layout, owner, frozen))
    assert hint in await refused(sink.deliver(a_delivery(layout, owner, a_key()), frozen))


async def test_another_type_is_said_by_the_rehearsal(sink, namespace, owner):
    """Kubernetes cannot change it in place."""
    layout = a_layout(namespace)
    present = await sink.deliver(a_delivery(layout, owner, a_key()), None)
    other = replace(layout, type="example.com/other")
    hint = "the type of a Secret cannot be changed"
    assert hint in await refused(sink.rehearse(other, owner, present.version))
    assert hint in await refused(sink.deliver(a_delivery(other, owner, a_key()), present.version))


@pytest.mark.parametrize(
    ("template", "limit"),
    [
        # 12 bytes of the ApiKey become 255 of the Secret: short enough for the annotation that keeps it, too long as data.
        ({f"text-{number}": "${api_key}" + "${workspace}" * 1300 for number in range(4)}, "1 MiB"),
        ({f"text-{number}": "${api_key}" + "x" * 16_000 for number in range(20)}, "256 KiB"),
    ],
)
async def test_a_template_that_makes_too_much_is_said_by_the_rehearsal(sink, namespace, template, limit, owner):
    """Of text, or of the layout's annotation: refused before a key is issued, in words of ours."""
    layout = a_layout(namespace, template=template)
    assert limit in await refused(sink.rehearse(layout, owner, None))
    delivery = a_delivery(layout, owner, a_key(), workspace_name="w" * 255)
    assert limit in await refused(sink.deliver(delivery, None))


async def test_a_secret_of_nearly_a_mebibyte_is_delivered(sink, namespace, secrets_of, owner):
    """As large as they may be: on creation, and on each rewrite."""
    layout, plaintext = a_layout(namespace, template={"a": "${api_key}" * 20_000}), a_key()
    present = await sink.deliver(a_delivery(layout, owner, plaintext), None)
    again = await sink.deliver(a_delivery(layout, owner, plaintext), present.version)
    assert again.digest == SecretValue(plaintext).digest()
    assert data_of(secrets_of("GET", layout.name)) == {"a": plaintext * 20_000}


@pytest.fixture
async def policy(plane: Plane, namespace: str, sink):
    """An admission policy that refuses Secrets of the namespace, and says their content in its message."""
    at = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolic"
    name = f"refuse-{namespace}"
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["secrets"]}]
    validation = {"expression": "false", "messageExpression": "'no: ' + string(object.data['api-key'])"}
    body = {
        "metadata": {"name": name},
        "spec": {"matchConstraints": {"resourceRules": rules}, "validations": [validation]},
    }
    selected = {"matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}}
    plane.call("POST", f"{at}ies", body)
    binding = {"metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"], **selected}}
    plane.call("POST", f"{at}ybindings", binding)
    yield name
    for kind in ("ybindings", "ies"):
        with contextlib.suppress(RuntimeError):
            plane.call("DELETE", f"{at}{kind}/{name}")


async def test_an_admission_policy_is_named_and_its_words_are_not_repeated(sink, policy, namespace, owner):
    """A policy that quotes what it refuses would put the plaintext into our log, condition and event."""
    layout = a_layout(namespace)

    async def is_refused() -> str | None:
        try:
            await sink.rehearse(layout, owner, None)
        except Rejected as error:
            return str(error)
        return None

    assert policy in await until(is_refused)
    said = await refused(sink.deliver(a_delivery(layout, owner, a_key()), None))
    assert f"ValidatingAdmissionPolicy '{policy}' with binding '{policy}' denied request" in said


async def test_a_namespace_that_is_being_deleted_is_said(sink, plane):
    """Nothing can be made there any more: said by the rehearsal."""
    with plane.a_namespace() as namespace:
        keep = {"metadata": {"name": "keep", "finalizers": ["example.com/keep"]}}
        at = f"/api/v1/namespaces/{namespace}/configmaps"
        plane.call("POST", at, keep)
        plane.call("DELETE", f"/api/v1/namespaces/{namespace}")
        try:
            said = await refused(sink.rehearse(a_layout(namespace), an_owner(namespace), None))
            assert "being terminated" in said or "being deleted" in said
        finally:
            plane.call("PATCH", f"{at}/keep", {"metadata": {"finalizers": None}}, content_type=MERGE)


async def test_a_list_tells_what_was_made_changed_and_deleted_meanwhile(sink, secrets_of, namespace):
    """After a gap in the watch: owners of all that changed, and no plaintext kept."""
    only_here = SecretSink(sink._api, [namespace])
    layouts = [a_layout(namespace, name) for name in ("stays", "goes", "changes")]
    keys = [a_key() for _ in layouts]
    for layout, plaintext in zip(layouts, keys, strict=True):
        owner = an_owner(namespace, layout.name, bound=False)
        await sink.deliver(a_delivery(layout, owner, plaintext, key_id=KeyId(f"id-of-{layout.name}")), None)
    assert sorted(key.name for key in await only_here.sync()) == ["changes", "goes", "stays"]
    assert sorted(only_here.recorded()) == ["id-of-changes", "id-of-goes", "id-of-stays"]
    secrets_of("DELETE", "goes")
    secrets_of("PATCH", "changes", {"stringData": {"api-key": "spoilt"}})
    assert sorted(key.name for key in await only_here.sync()) == ["changes", "goes"]
    assert await only_here.sync() == []
    assert only_here.known(namespace, "goes") is None
    assert not any(holds(repr(only_here._store.values()), plaintext) for plaintext in keys)
