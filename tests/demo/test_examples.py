"""examples/: they apply to the real kinds as they are, hold no key, and are what the story counts on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from keywright.demo.cluster import documents, examples, issuer_for
from keywright.demo.shipped import shipped
from keywright.keys import SecretValue

if TYPE_CHECKING:
    from tests.conftest import Plane

FILES = sorted(shipped("examples").glob("*.yaml"))


def test_the_folder_can_be_applied_in_one_go():
    """Files are taken by their name: the namespace comes first, keys come last."""
    kinds = [document["kind"] for _, document in examples()]
    assert kinds[:2] == ["Namespace", "KeyIssuer"]
    assert set(kinds[2:]) == {"ApiKey"}
    assert {document["metadata"]["name"] for _, document in examples()[2:]} == {"billing", "minimal", "search"}


def test_no_example_brings_a_secret():
    """An admin key comes by kubectl create secret; a made-up one would be applied over a real one."""
    assert "Secret" not in {document["kind"] for _, document in examples()}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_file_begins_by_saying_what_it_is_for(file):
    """For somebody who has never seen one."""
    assert file.read_text().startswith("# ")


def test_the_issuer_is_pointed_at_the_sandbox_and_otherwise_as_it_is():
    """Only the addresses change, and the Secret is the one that the example asks for."""
    (example,) = (document for _, document in examples() if document["kind"] == "KeyIssuer")
    issuer, secret = issuer_for(example, "http://127.0.0.1:1", SecretValue("made-up"))
    assert issuer["spec"]["mistral"] == example["spec"]["mistral"] | {
        "url": "http://127.0.0.1:1",
        "checkUrl": "http://127.0.0.1:1",
    }
    assert secret["metadata"] == {"name": "mistral-admin", "namespace": "shop"}
    assert secret["stringData"] == {"admin-key": "made-up"}


def test_the_operators_account_and_rights_are_among_the_manifests():
    """What the demo asks a token of, and what it grants it."""
    kinds = {document["kind"] for _, document in documents(shipped("manifests"))}
    assert {"Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding"} <= kinds


@pytest.mark.plane
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_example_applies_to_the_real_kinds(plane: Plane, namespace: str, file):
    """As it is, but for the namespace; an unknown field would be refused."""
    for path, document in examples():
        if path == file and document["kind"] != "Namespace":
            document["metadata"]["namespace"] = namespace
            plural = {"KeyIssuer": "keyissuers", "ApiKey": "apikeys"}[document["kind"]]
            applied = plane.call(
                "PATCH",
                f"/apis/keywright.dev/v1alpha1/namespaces/{namespace}/{plural}/{document['metadata']['name']}"
                "?fieldManager=test&fieldValidation=Strict",
                document,
                content_type="application/apply-patch+yaml",
            )
            assert applied["metadata"]["generation"] == 1
