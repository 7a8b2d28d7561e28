"""Bad input: each leaves a condition that says what to change, issues no key, does not spin, and heals by itself."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.team import GROUP
from tests.e2e.together import Scenarios
from tests.running import wait_for
from tests.sinks import Alone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.team import Team
    from tests.running import Sandbox

pytestmark = [pytest.mark.plane, pytest.mark.xdist_group("served")]
scenarios = Scenarios(
    alone=Alone(
        "secret", "It is refused by what the spec, the issuer or a Secret is; what Vault refuses: test_vault_life.py."
    )
)

HEALED_WITHIN = 90.0
"""Seconds, where the cause was elsewhere and the ApiKey was not touched: half a minute is promised, and machines are busy."""


def heals(team: Team, name: str = "search") -> None:
    """Ready within the promised time, with a key that works."""
    wait_for(lambda: team.condition(name).get("status") == "True", "healed by itself", seconds=HEALED_WITHIN)
    assert team.sandbox.accepts(team.text(f"{name}-key"))


def nothing_was_issued(team: Team, name: str = "search") -> None:
    """No key at the platform, no Secret, no attempt, and a Stalled or Reconciling that says it too."""
    assert team.live_keys(name) == []
    status = team.status(name)
    assert "attempt" not in status
    assert "keyId" not in status
    types = {c["type"] for c in status["conditions"]}
    assert types in ({"Ready", "Stalled"}, {"Ready", "Reconciling"}), status


@scenarios
def an_unknown_workspace_lists_those_there_are(team: Team):
    """The message names what may be written; a corrected spec is served at once."""
    team.create(workspace="serch-prod")
    message = team.says("WorkspaceNotFound")
    assert "serch-prod" in message
    assert "search-prod" in message
    assert "billing" in message
    nothing_was_issued(team)
    team.patch("search", {"spec": {"workspace": "search-prod"}})
    heals(team)


@scenarios
def a_workspace_made_later_heals(team: Team):
    """Created at the platform afterwards, it is found without a touch of the ApiKey."""
    name = f"late-{team.namespace}"
    team.create(workspace=name)
    team.says("WorkspaceNotFound")
    make_workspace(team.sandbox, name)
    heals(team)


@scenarios
def an_ambiguous_workspace_asks_for_the_uuid(team: Team):
    """Two of one name: the message lists their uuids, and one of them is accepted."""
    name = f"twin-{team.namespace}"
    first, second = make_workspace(team.sandbox, name), make_workspace(team.sandbox, name)
    team.create(workspace=name)
    message = team.says("WorkspaceAmbiguous")
    assert first in message
    assert second in message
    nothing_was_issued(team)
    team.patch("search", {"spec": {"workspace": first}})
    heals(team)


@scenarios.without_issuer
def a_wrong_admin_key_is_said_without_showing_it(team: Team):
    """Refused by the platform: names the Secret's field, and a corrected Secret heals."""
    wrong = "w" * 32
    team.create_admin_secret(key=wrong)
    team.create_issuer()
    team.create()
    message = team.says("AdminKeyRefused")
    assert "adminKeySecretRef" in message
    assert wrong not in message
    nothing_was_issued(team)
    team.patch_secret("mistral-admin", {"stringData": {"admin-key": team.sandbox.admin_key}})
    heals(team)


@scenarios.without_issuer
def a_missing_admin_secret_is_named(team: Team):
    """The message names namespace, Secret and data key; creating it heals."""
    team.create_issuer()
    team.create()
    message = team.says("AdminKeyMissing")
    assert f"{team.namespace}/mistral-admin" in message
    assert "admin-key" in message
    nothing_was_issued(team)
    team.create_admin_secret()
    heals(team)


@scenarios.without_issuer
def a_missing_data_key_is_named(team: Team):
    """The Secret is there and the data key is not: the same message, healed by adding it."""
    team.create_admin_secret(data_key="another")
    team.create_issuer()
    team.create()
    assert "admin-key" in team.says("AdminKeyMissing")
    nothing_was_issued(team)
    team.patch_secret("mistral-admin", {"stringData": {"admin-key": team.sandbox.admin_key}})
    heals(team)


@scenarios
def a_missing_issuer_is_named(team: Team):
    """keyissuer/NAME does not exist; created, it is used."""
    team.create(issuer="nowhere")
    assert "keyissuer/nowhere" in team.says("IssuerNotFound")
    nothing_was_issued(team)
    team.create_issuer("nowhere")
    heals(team)


@scenarios.of(
    long_label=({"label": "x" * 221}, "220"),
    control_characters=({"label": "two\nlines"}, "label"),
    a_tag_in_the_label=({"label": "a [kw/ tag"}, "label"),
    no_target=({"target": {}}, "target is empty"),
    both_targets=(
        {"target": {"secret": {"name": "a"}, "vault": {"storeRef": {"name": "v"}, "path": "p"}}},
        "target has both secret and vault",
    ),
    two_ends=({"expiry": {"validity": "90d", "date": "2030-01-01"}}, "both validity and date"),
    no_day=({"expiry": {"validity": "0d"}}, "validity"),
    foreign_type=({"target": {"secret": {"name": "a", "type": "kubernetes.io/service-account-token"}}}, "type"),
)
def what_the_spec_alone_shows_is_refused_at_once(team: Team, case: tuple[dict[str, Any], str]):
    """The apiserver itself says what to write instead."""
    spec, words = case
    with pytest.raises(RuntimeError, match=words):
        team.create(**spec)


@scenarios
def an_expiry_in_the_past_is_refused_by_the_operator(team: Team):
    """A date that is over: no key; a later date is served."""
    team.create(expiry={"date": "2020-01-31"})
    assert "2020-01-31" in team.says("ExpiryInPast")
    nothing_was_issued(team)
    team.patch("search", {"spec": {"expiry": {"date": "2099-01-31"}}})
    heals(team)


@scenarios
def a_secret_of_somebody_else_is_never_touched(team: Team):
    """It stays as it is, no key is issued; when it is gone, the key arrives."""
    body = {"metadata": {"name": "search-key"}, "stringData": {"api-key": "mine"}}
    team.plane.call("POST", f"/api/v1/namespaces/{team.namespace}/secrets", body)
    before = team.secret()
    team.create()
    message = team.says("TargetForeign")
    assert "search-key" in message
    nothing_was_issued(team)
    assert team.secret() == before
    team.delete_secret("search-key")
    heals(team)


@scenarios
def two_api_keys_for_one_secret_the_older_has_it(team: Team):
    """The second is refused with the first's name and issues nothing; it is served once the first is gone."""
    team.create("first", target={"secret": {"name": "shared"}})
    team.ready("first")
    plaintext = team.text("shared")
    team.create("second", target={"secret": {"name": "shared"}})
    assert f"{team.namespace}/first" in team.says("TargetConflict", "second")
    nothing_was_issued(team, "second")
    assert team.text("shared") == plaintext
    team.delete("first")
    team.gone("first")
    team.ready("second")
    assert team.sandbox.accepts(team.text("shared"))


@scenarios.of(another_scheme="ftp://example.com", no_host="https://", words="not a url")
def an_address_that_is_no_http_url_is_refused(team: Team, case: str):
    """The kind itself refuses it."""
    with pytest.raises(RuntimeError, match=r"spec\.mistral\.url"):
        team.patch_issuer({"spec": {"mistral": {"url": case}}})


@scenarios.without_issuer
def an_issuer_that_does_not_answer_is_said_and_awaited(team: Team):
    """A closed port: the address stands in the message; a corrected address heals."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        team.create_admin_secret()
        team.create_issuer(url=address)
        team.create()
        assert address in team.says("IssuerUnavailable")
        nothing_was_issued(team)
    team.patch_issuer({"spec": {"mistral": {"url": team.sandbox.url}}})
    heals(team)


@scenarios.without_issuer
def malformed_json_is_no_answer(team: Team):
    """HTML with status 200, as from a captive portal: said, nothing issued, and few requests."""
    with nonsense() as (address, asked):
        team.create_admin_secret()
        team.create_issuer(url=address)
        team.create()
        assert "documented JSON" in team.says("IssuerMalformed")
        nothing_was_issued(team)
        before = len(asked)
        wait_for(lambda: len(asked) > before, "it is looked at again", seconds=HEALED_WITHIN)
        assert len(asked) < 20, "no hot loop"
        team.patch_issuer({"spec": {"mistral": {"url": team.sandbox.url}}})
        heals(team)


@scenarios
def a_quota_speaks_before_a_key_is_issued(team: Team):
    """A namespace that takes no more Secrets: said by the rehearsal, healed by a larger quota."""
    path = f"/api/v1/namespaces/{team.namespace}/resourcequotas"
    hard = {"count/secrets": "1"}
    team.plane.call("POST", path, {"metadata": {"name": "few"}, "spec": {"hard": hard}})
    # No quota controller runs here; what it would have counted is written in its place.
    counted = {"status": {"hard": hard, "used": hard}}
    team.plane.call("PATCH", f"{path}/few/status", counted, content_type="application/merge-patch+json")
    wait_for(lambda: "exceeded quota: few" in one_more_secret(team), "the quota is in force")
    team.create()
    assert "exceeded quota: few" in team.says("TargetRefused")
    nothing_was_issued(team)
    team.plane.call("DELETE", f"{path}/few")
    heals(team)


@scenarios
def a_store_that_does_not_exist_is_named(team: Team):
    """A target in a Vault that nobody has described: it is said which store is missing, and nothing is issued."""
    team.create(target={"vault": {"storeRef": {"name": "vault"}, "path": "search/mistral"}})
    assert "vaultstore/vault" in team.says("StoreNotFound")
    nothing_was_issued(team)
    team.delete()
    team.gone()


@scenarios
def a_broken_api_key_is_at_rest(team: Team):
    """Refused for good, it costs one status write and no more, however often it is looked at."""
    # Not by an unknown workspace: its message follows the platform, where others make workspaces.
    team.create(expiry={"date": "2020-01-31"})
    team.says("ExpiryInPast")
    version = resource_version(team)
    begun = looks(team)
    for minutes in (6, 7, 8):
        before = looks(team)
        team.patch_issuer({"spec": {"inventoryInterval": f"{minutes}m"}})
        wait_for(lambda before=before: looks(team) > before, "an edit of its issuer has it looked at")
    team.create("neighbour")
    team.ready("neighbour")
    assert resource_version(team) == version
    assert looks(team) - begun < 10, "no hot loop"


@pytest.mark.parametrize("scenario", scenarios.names)
def test_bad_input(scenario: str, outcome: Callable[[Scenarios, str], None]):
    """What the scenario's own sentence says."""
    outcome(scenarios, scenario)


def make_workspace(sandbox: Sandbox, name: str) -> str:
    """A new workspace's uuid."""
    _, users = sandbox.call("GET", "/v1/admin/users")
    admin = next(member["uuid"] for member in users["members"] if member["email"] == "admin@example.com")
    status, made = sandbox.call("POST", "/v1/admin/workspaces", {"name": name, "admin_user_id": admin})
    assert status in (200, 201), (status, made)
    return made["uuid"]


def resource_version(team: Team) -> str:
    """Of the ApiKey."""
    answer = team.plane.call("GET", f"{GROUP}/namespaces/{team.namespace}/apikeys/search")
    return answer["metadata"]["resourceVersion"]


def one_more_secret(team: Team) -> str:
    """What is said against one that is only rehearsed."""
    path = f"/api/v1/namespaces/{team.namespace}/secrets?dryRun=All"
    try:
        team.plane.call("POST", path, {"metadata": {"name": "one-more"}})
    except RuntimeError as error:
        return str(error)
    return ""


def looks(team: Team) -> int:
    """How many lines the operator's log has about the ApiKey: each pass is one at least."""
    assert team.operator is not None
    return team.operator.said().count(f"{team.namespace}/search:")


@contextmanager
def nonsense() -> Iterator[tuple[str, list[str]]]:
    """A server that answers everything with a page; its address, and the paths it was asked for."""
    asked: list[str] = []

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = b"<html>Please log in to the guest network</html>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 -- http.server's own naming

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
