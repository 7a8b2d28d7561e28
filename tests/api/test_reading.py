"""Objects read into models: nothing lost, and one clear sentence for what cannot be read."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.api.examples import GOOD
from tests.api.structural import fullest, values

from keywright.api.apikey import ApiKeySpec
from keywright.api.apikey_status import ApiKeyStatus
from keywright.api.crd import schema_of
from keywright.api.keyissuer import KeyIssuerSpec, KeyIssuerStatus
from keywright.api.reading import read_issuer_spec, read_spec, read_status
from keywright.api.vaultstore import ClusterVaultStoreSpec, VaultStoreSpec
from keywright.errors import Rejected

if TYPE_CHECKING:
    from keywright.api.base import Kind

MODELS = (ApiKeySpec, ApiKeyStatus, KeyIssuerSpec, KeyIssuerStatus, VaultStoreSpec, ClusterVaultStoreSpec)


def a_spec(**changes: Any) -> dict[str, Any]:
    """The smallest ApiKey, with some fields of its spec changed."""
    spec = {"issuerRef": {"name": "mistral"}, "workspace": "search-prod", "target": {"secret": {"name": "mistral-key"}}}
    return {"spec": {**spec, **changes}}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@settings(max_examples=5, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@given(data=st.data())
def test_what_the_schema_allows_is_read_and_written_back(model: type[Kind], data: st.DataObject):
    """Whatever keeps to the schema is accepted, keeps every field that was given, and reads back as the same."""
    given_value = data.draw(values(schema_of(model)))
    read = model.model_validate(given_value)
    written = read.to_dict()
    assert model.model_validate(written) == read
    assert _keeps(written, given_value)


def _keeps(written: Any, given_value: Any) -> bool:
    if isinstance(given_value, dict):
        # What says nothing may be left out of a status.
        return all(
            _keeps(written[key], value) if key in written else value in ([], {}, 0)
            for key, value in given_value.items()
        )
    if isinstance(given_value, list):
        return len(written) == len(given_value) and all(map(_keeps, written, given_value))
    return bool(written == given_value)


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        ("ApiKey", ApiKeySpec),
        ("KeyIssuer", KeyIssuerSpec),
        ("ClusterKeyIssuer", KeyIssuerSpec),
        ("VaultStore", VaultStoreSpec),
        ("ClusterVaultStore", ClusterVaultStoreSpec),
    ],
)
def test_what_the_apiserver_accepts_is_read(kind: str, model: type[Kind]):
    """The examples that test_cel.py gives to the real apiserver: none is refused by the operator."""
    for spec in GOOD[kind]:
        assert _keeps(model.model_validate(spec).to_dict(), spec)


def test_a_field_of_a_newer_version_is_passed_over():
    """A spec that a newer version wrote is still read."""
    assert read_spec(a_spec(invented=True)).workspace == "search-prod"


def test_an_absent_status_is_one_without_fields():
    """Nothing has been written yet."""
    assert read_status({}) == read_status({"status": {}}) == ApiKeyStatus()


def test_a_full_status_is_read_whole():
    """Every field comes back as it was written."""
    status = fullest(schema_of(ApiKeyStatus))
    assert read_status({"status": status}).to_dict() == status


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ([], "status: write a mapping of fields"),
        ({"revision": "many"}, "status.revision: Input should be a valid integer"),
        ({"expiresAt": "soon"}, "status.expiresAt: Input should be a valid datetime"),
        ({"expiresAt": "2026-11-24T13:42:00"}, "status.expiresAt: Value error, a time needs its zone"),
        ({"expiresAt": "0001-01-01T00:00:00+23:00"}, "status.expiresAt: Value error, a time must lie between"),
        ({"previous": [{"keyId": "k"}]}, "status.previous[0].issuer: write it; it is required"),
        ({"attempt": {}}, "status.attempt.id: write it; it is required"),
    ],
)
def test_an_unreadable_status_is_never_an_empty_one(status: Any, sentence: str):
    """An empty status would mean that no key was issued, and a second one would be."""
    with pytest.raises(Rejected) as caught:
        read_status({"status": status})
    assert str(caught.value).startswith(sentence)
    assert caught.value.reason == "InvalidSpec"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "spec: write it; it is required"),
        ({"spec": "text"}, "spec: write a mapping of fields"),
        (a_spec(target={}), "spec.target: write exactly one of secret and vault"),
        (
            a_spec(target={"secret": {"name": "s"}, "vault": {"storeRef": {"name": "v"}, "path": "p"}}),
            "spec.target: write exactly one of secret and vault",
        ),
        (a_spec(expiry={}), "spec.expiry: write exactly one of validity and date"),
        (
            a_spec(expiry={"validity": "90"}),
            "spec.expiry.validity: write whole days from 1d to 9999d, such as 90d",
        ),
        (
            a_spec(expiry={"date": "2027-02-29"}),
            "spec.expiry.date: write a day that exists, as year-month-day, such as 2027-01-31",
        ),
        (a_spec(deletionPolicy="Drop"), "spec.deletionPolicy: Input should be 'Revoke' or 'Retain'"),
        (
            a_spec(target={"secret": {"name": "s", "template": {"config.ini": "${apikey}"}}}),
            "spec.target.secret.template[config.ini]: after a dollar only {api_key}",
        ),
        (
            a_spec(rotation={"restart": [{"kind": "Deployment"}]}),
            "spec.rotation.restart[0].name: write it; it is required",
        ),
    ],
)
def test_the_first_fault_of_a_spec_is_one_sentence(body: dict[str, Any], sentence: str):
    """It names the field as the user wrote it."""
    with pytest.raises(Rejected) as caught:
        read_spec(body)
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)
    assert caught.value.reason == "InvalidSpec"


def test_an_issuer_of_no_kind_is_refused():
    """There is one kind of issuer, and it must be there."""
    with pytest.raises(Rejected, match=r"spec\.mistral: write it") as caught:
        read_issuer_spec({"spec": {}})
    assert caught.value.reason == "InvalidSpec"


def test_an_issuer_is_read_with_its_defaults():
    """Where the apiserver has not written them, they are the same."""
    spec = read_issuer_spec(
        {
            "spec": {
                "mistral": {"user": "someone@example.com", "adminKeySecretRef": {"name": "mistral-admin", "key": "key"}}
            }
        }
    )
    assert spec.mistral
    assert spec.mistral.url == "https://api.mistral.ai"
    assert spec.requests.to_dict() == {"perSecond": 10, "burst": 20, "timeout": "10s"}


@pytest.mark.parametrize("year", [2000, 2023, 2024, 2027, 2028, 2100, 2400, 2999])
def test_the_pattern_of_a_day_is_the_calendar(year: int):
    """Each of 12 times 31 days is accepted if it exists, and only then."""
    for month in range(14):
        for day in range(33):
            text = f"{year}-{month:02}-{day:02}"
            try:
                date.fromisoformat(text)
            except ValueError:
                with pytest.raises(Rejected):
                    read_spec(a_spec(expiry={"date": text}))
            else:
                assert read_spec(a_spec(expiry={"date": text}))


@pytest.mark.parametrize("field", ["adminKeySecretRef", "caBundleSecretRef", "caBundleConfigMapRef"])
def test_a_key_issuer_reads_no_other_namespace_whatever_the_apiserver_took(field: str):
    """An object older than the kind's rule, or a CRD without it: the operator could read any Secret, and send it anywhere."""
    ref = {"name": "admin", "key": "key"}
    mistral = {"user": "dev@example.com", "adminKeySecretRef": ref, field: ref | {"namespace": "kube-system"}}
    body = {"kind": "KeyIssuer", "metadata": {"namespace": "search"}, "spec": {"mistral": mistral}}
    with pytest.raises(Rejected, match="its own namespace only"):
        read_issuer_spec(body)
    assert read_issuer_spec(body | {"kind": "ClusterKeyIssuer"})
    mistral[field] = ref | {"namespace": "search"}
    assert read_issuer_spec(body)
