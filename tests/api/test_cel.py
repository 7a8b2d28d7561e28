"""The kinds on the real apiserver: what it takes, what it refuses with which words, and what kubectl shows of them."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.api.examples import BREAKING, GOOD, an_object, broken, having
from tests.api.test_crd import nodes_of, schema_nodes

from keywright.api.base import RULES
from keywright.api.crd import KINDS, CustomKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Plane

    Ask = Callable[..., tuple[int, dict[str, Any]]]

on_the_plane = pytest.mark.plane
SCOPES = {kind.kind: "" if kind.cluster_scoped else "namespaces/default/" for kind in KINDS}
PLURALS = {kind.kind: kind.plural for kind in KINDS}
EACH_RULE = [
    (kind.kind, path, rule["message"])
    for kind in KINDS
    for path, node in nodes_of(kind).items()
    for rule in node.get(RULES, ())
]


def beginnings(message: str) -> list[str]:
    """The entries of BREAKING that a rule's message is known by."""
    return [beginning for beginning in BREAKING if message.startswith(beginning)]


@pytest.fixture(scope="module")
def ask(plane: Plane):
    """Ask the apiserver on one connection: (method, path, body) to (status, answer)."""
    address = plane.server.removeprefix("https://")
    connection = http.client.HTTPSConnection(address, context=plane.tls, timeout=60)

    def call(method: str, path: str, body: Any, content_type: str = "application/json") -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {plane.admin_token}", "Content-Type": content_type}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    yield call
    connection.close()


def collection(kind: str, namespace: str = "default") -> str:
    """Where objects of a kind are made."""
    scope = SCOPES[kind].replace("default", namespace)
    return f"/apis/keywright.dev/v1alpha1/{scope}{PLURALS[kind]}"


def rehearse(ask: Ask, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Create by a server-side dry run that refuses unknown fields."""
    return ask("POST", f"{collection(body['kind'])}?dryRun=All&fieldValidation=Strict", body)


def complaints(status: dict[str, Any]) -> list[tuple[str, str]]:
    """Field and sentence of each cause of a refusal."""
    return [(cause["field"], cause["message"]) for cause in status["details"]["causes"]]


def test_every_rule_has_a_breaking_example_and_every_example_a_rule():
    """A new rule without an example fails here, and so does an example that no rule is left for."""
    assert {message: beginnings(message) for _, _, message in EACH_RULE if len(beginnings(message)) != 1} == {}
    used = {beginning for _, _, message in EACH_RULE for beginning in beginnings(message)}
    assert set(BREAKING) == used


@on_the_plane
@pytest.mark.parametrize("kind", GOOD)
def test_a_good_object_is_accepted(ask: Ask, kind: str):
    """Every shape that the documentation shows is taken as it is."""
    for spec in GOOD[kind]:
        status, answer = rehearse(ask, an_object(kind, spec))
        assert status == 201, answer


@on_the_plane
@pytest.mark.parametrize(
    ("kind", "path", "message"),
    [rule for rule in EACH_RULE if not rule[2].startswith("Kubernetes cannot change the type")],
    ids=lambda part: part[:40].replace(" ", "_"),
)
def test_what_breaks_a_rule_is_refused_with_its_sentence(ask: Ask, kind: str, path: str, message: str):
    """The refusal names the field, and says nothing but what to write there."""
    [beginning] = beginnings(message)
    before, is_good = having(kind, path)
    alone = 0
    for example in BREAKING[beginning]:
        # The same rule holds for a map's keys and for a field that has one such name.
        breaking = next(iter(example)) if isinstance(example, dict) and path.endswith(".field") else example
        bad = broken(before, path, breaking)
        status, answer = rehearse(ask, bad)
        assert status == 422, f"{breaking!r} was accepted"
        sentences = [sentence for field, sentence in complaints(answer) if message in sentence]
        assert sentences, f"{breaking!r}: {answer['message']}"
        alone += len(complaints(answer)) == len(sentences) == 1
    assert alone or not is_good, f"no example breaks this rule alone: {complaints(answer)}"


@on_the_plane
def test_the_type_of_a_secret_changes_with_its_name_only(ask: Ask, plane: Plane, namespace: str):
    """The rule on the transition: another type for the same Secret is refused, with another name it is taken."""
    kept = an_object("ApiKey", GOOD["ApiKey"][0])
    status, made = ask("POST", collection("ApiKey", namespace), kept)
    assert status == 201, made
    at = f"{collection('ApiKey', namespace)}/example?dryRun=All"
    status, answer = ask("PUT", at, broken(made, ".spec.target.secret", {"type": "example.com/other"}))
    assert status == 422, answer
    assert "Kubernetes cannot change the type of a Secret in place" in complaints(answer)[0][1]
    renamed = broken(made, ".spec.target.secret", {"type": "example.com/other", "name": "another"})
    status, answer = ask("PUT", at, renamed)
    assert status == 200, answer


@on_the_plane
@pytest.mark.parametrize(
    ("kind", "path", "breaking", "field"),
    [
        ("ApiKey", ".spec.label", "L" * 221, "spec.label"),
        ("ApiKey", ".spec.workspace", "w" * 256, "spec.workspace"),
        ("ApiKey", ".spec.deletionPolicy", "Drop", "spec.deletionPolicy"),
        ("ApiKey", ".spec.issuerRef", {"kind": "Issuer"}, "spec.issuerRef.kind"),
        ("ApiKey", ".spec.rotation.restart[]", {"kind": "Pod"}, "spec.rotation.restart[0].kind"),
        ("ApiKey", ".spec", {"target": None}, "spec.target"),
        ("ApiKey", ".spec", {"workspace": None}, "spec.workspace"),
        ("KeyIssuer", ".spec.grants[]", {"workspaces": []}, "spec.grants[0].workspaces"),
        ("KeyIssuer", ".spec.requests", {"perSecond": 0}, "spec.requests.perSecond"),
        ("ClusterKeyIssuer", ".spec.grants[].namespaces", {"names": ["Upper"]}, "spec.grants[0].namespaces.names[0]"),
        ("ClusterKeyIssuer", ".spec.grants[].namespaces.selector.matchExpressions[]", {"key": "a b"}, None),
    ],
)
def test_what_the_schema_alone_refuses(ask: Ask, kind: str, path: str, breaking: Any, field: str | None):
    """Too long, of no listed value, missing: the apiserver's own words name the field."""
    status, answer = rehearse(ask, broken(having(kind, path)[0], path, breaking))
    assert status == 422, answer
    assert field is None or field in [name for name, _ in complaints(answer)]


@on_the_plane
@pytest.mark.parametrize("kind", GOOD)
def test_an_unknown_field_is_refused_by_apply(ask: Ask, plane: Plane, kind: str):
    """By kubectl apply, and by server-side apply, each naming the field; a typing mistake is never silently dropped."""
    mistaken = an_object(kind, {**GOOD[kind][0], "invented": True})
    if kind != "ApiKey" and not SCOPES[kind]:
        mistaken["metadata"]["name"] = "mistaken"
    text = yaml.safe_dump(mistaken)
    for how in (("apply",), ("apply", "--server-side")):
        with pytest.raises(
            RuntimeError, match=r"(unknown field \"spec\.invented\"|\.spec\.invented: field not declared)"
        ):
            plane.kubectl(*how, "-n", "default", "--dry-run=server", "-f", "-", stdin=text)
    status, answer = ask(
        "PATCH",
        f"{collection(kind)}/{mistaken['metadata']['name']}?fieldManager=test&dryRun=All",
        mistaken,
        "application/apply-patch+yaml",
    )
    assert status >= 400, answer
    assert "invented" in answer["message"]


@on_the_plane
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_kubectl_explains_every_field(ask: Ask, plane: Plane, kind: CustomKind):
    """The tree of fields is whole, and what kubectl explain reads has words for each of them."""
    _, published = ask("GET", "/openapi/v3/apis/keywright.dev/v1alpha1", None)
    schema = published["components"]["schemas"][f"dev.keywright.v1alpha1.{kind.kind}"]
    there = dict(schema_nodes(schema))
    fields = [path for path in nodes_of(kind) if path.startswith((".spec", ".status"))]
    assert [path for path in fields if path not in there] == []
    silent = [path for path in fields if not path.endswith("[]") and not there[path].get("description")]
    assert silent == []
    tree = plane.kubectl("explain", f"{kind.kind.lower()}.spec", "--recursive")
    names = {path.rpartition(".")[2] for path in fields if path.startswith(".spec.")}
    assert {name for name in names if not name.endswith("[]")} <= set(tree.replace("\t", " ").split())


@on_the_plane
def test_kubectl_explain_reads_as_the_documentation(plane: Plane):
    """One page of it: each field's name, type and sentence."""
    told = " ".join(plane.kubectl("explain", "ak.spec.target.secret").split())
    assert (
        "The Secret's name. keywright creates it; one that somebody else made is never touched, unless adopt says so."
        in told
    )
    assert "<no description>" not in told


@on_the_plane
def test_kubectl_get_shows_the_columns_of_the_interface(plane: Plane, namespace: str):
    """READY to AGE, and the rest with -o wide; an expiry in the future is a time, not <invalid>."""
    body = an_object("ApiKey", {**GOOD["ApiKey"][0], "issuerRef": {"kind": "ClusterKeyIssuer", "name": "mistral.eu"}})
    made = plane.call("POST", collection("ApiKey", namespace), body)
    made["status"] = {
        "revision": 3,
        "keyId": "made-up",
        "maskedKey": "HQSx...Ug6Y",
        "expiresAt": "2999-12-31T23:59:59Z",
        "renewalTime": "2999-12-01T00:00:00Z",
        "lastUsed": "2026-11-24",
        "target": {"kind": "Secret", "name": "mistral-key", "key": "api-key"},
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "Issued",
                "message": "well",
                "lastTransitionTime": "2026-11-24T12:00:00Z",
            }
        ],
    }
    plane.call("PUT", f"{collection('ApiKey', namespace)}/example/status", made)
    narrow = plane.kubectl("get", "ak", "-n", namespace).splitlines()
    wide = plane.kubectl("get", "ak", "-n", namespace, "-o", "wide").splitlines()
    assert narrow[0].split() == ["NAME", "READY", "WORKSPACE", "KEY", "EXPIRES", "RENEWS", "AGE"]
    assert wide[0].split() == [*narrow[0].split(), "REASON", "LAST", "USED", "REVISION", "ISSUER", "TARGET"]
    assert "HQSx...Ug6Y   2999-12-31T23:59:59Z   2999-12-01T00:00:00Z" in narrow[1]
    assert wide[1].split()[-5:] == ["Issued", "2026-11-24", "3", "mistral.eu", "mistral-key"]
    assert "example" in plane.kubectl("get", "keywright", "-n", namespace)


@on_the_plane
def test_the_defaults_are_written_by_the_apiserver(ask: Ask):
    """What a user leaves out stands in the object as the documentation says."""
    _, made = rehearse(ask, an_object("ApiKey", GOOD["ApiKey"][0]))
    assert made["spec"]["issuerRef"]["kind"] == "KeyIssuer"
    assert made["spec"]["deletionPolicy"] == "Revoke"
    assert made["spec"]["target"]["secret"] == {**GOOD["ApiKey"][0]["target"]["secret"], "adopt": False} | {
        "key": "api-key",
        "type": "Opaque",
    }
    _, made = rehearse(ask, an_object("KeyIssuer", GOOD["KeyIssuer"][0]))
    assert made["spec"]["requests"] == {"perSecond": 10, "burst": 20, "timeout": "10s"}
    assert made["spec"]["mistral"]["url"] == "https://api.mistral.ai"
    _, made = rehearse(ask, an_object("ClusterVaultStore", GOOD["ClusterVaultStore"][0]))
    assert made["spec"]["prefix"] == "{namespace}/"
