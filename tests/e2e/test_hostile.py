"""U6: whatever stands in a field is refused, or does no harm: on the real apiserver, in the pure code, and in the operator's log."""

from __future__ import annotations

import http.client
import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from tests.adapters.kube_builders import a_record, an_owner
from tests.api.hostile import cases
from tests.planning.builders import all_known, facts
from tests.running import wait_for

from keywright.adapters.kube_manifest import create_body
from keywright.adapters.kube_template import Texts
from keywright.adapters.mistral import mistral_factory
from keywright.api.apikey_status import ApiKeyStatus
from keywright.api.reading import read_issuer_spec, read_spec
from keywright.cli.logs import JsonLines, TextLines
from keywright.errors import KeywrightError
from keywright.keys import NAME_LIMIT, SecretValue, Tag, Workspace
from keywright.planning.plan import plan
from keywright.planning.situation import Situation
from keywright.ports.lease import Unshared
from keywright.reconcile.observe import subject_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.hostile import Case
    from tests.conftest import Plane
    from tests.e2e.guarded import Guarded

pytestmark = [pytest.mark.plane, pytest.mark.slow, pytest.mark.xdist_group("guarded")]

GROUP = "/apis/keywright.dev/v1alpha1/namespaces"
PLURALS = {"ApiKey": "apikeys", "KeyIssuer": "keyissuers", "VaultStore": "vaultstores"}
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PLAINTEXT = "Pl41ntext" * 3 + "Plain"


class Asker:
    """One connection to the apiserver."""

    def __init__(self, plane: Plane) -> None:
        address = plane.server.removeprefix("https://")
        self._connection = http.client.HTTPSConnection(address, context=plane.tls, timeout=60)
        self._headers = {"Authorization": f"Bearer {plane.admin_token}", "Content-Type": "application/json"}

    def create(self, namespace: str, obj: dict[str, Any], *, dry: bool) -> tuple[int, dict[str, Any]]:
        """Status and answer."""
        path = f"{GROUP}/{namespace}/{PLURALS[obj['kind']]}?fieldValidation=Strict" + ("&dryRun=All" if dry else "")
        self._connection.request("POST", path, json.dumps(obj), self._headers)
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())

    def close(self) -> None:
        """Give it back."""
        self._connection.close()


@pytest.fixture
def asker(guarded: Guarded) -> Iterator[Asker]:
    """Of the guarded plane."""
    asker = Asker(guarded.plane)
    yield asker
    asker.close()


def harmless(seen: dict[str, Any]) -> None:
    """What the operator makes of an object that the apiserver took."""
    if seen["kind"] == "KeyIssuer":
        spec = read_issuer_spec(seen)
        make = mistral_factory(allow_insecure=False, on_request=lambda *_: None, lease=Unshared())
        try:
            make("keyissuer/case", spec, SecretValue(PLAINTEXT), None)
        except KeywrightError as error:
            one_line(str(error))
        return
    if seen["kind"] != "ApiKey":
        return
    spec, status = read_spec(seen), ApiKeyStatus()
    workspace = Workspace("11111111-1111-4111-8111-111111111111", spec.workspace)
    known = all_known(issuer=facts(workspace=workspace))
    observed = known._replace(subject=subject_of(seen), targets={}, fresh=frozenset())
    decision = plan(spec, status, observed, NOW)
    one_line(decision.message)
    s = Situation(spec, status, observed, NOW)
    tag = Tag.of("c1u5ter0", seen["metadata"]["uid"], "aaaaaaaa")
    name = tag.name_for(s.label)
    assert Tag.parse(name) == tag
    assert name.count("[kw/") == 1
    assert len(name) <= NAME_LIMIT
    assert (
        name.replace("\u200c", "").replace("\u200d", "").isprintable()
    )  # joiners are part of writing in many languages
    if s.layout is not None:
        written(s)


def written(s: Situation) -> None:
    """The Secret: ours by its labels whatever the spec says, the plaintext in its data only."""
    assert s.layout is not None
    owner = an_owner(s.observed.subject.key.namespace, s.observed.subject.key.name)
    record = a_record(owner, PLAINTEXT, label=s.label, workspace=s.spec.workspace, workspace_name=s.spec.workspace)
    data = Texts(s.layout.key, s.layout.template, record).render(SecretValue(PLAINTEXT))
    body = create_body(s.layout, owner, record, data)
    assert body["metadata"]["labels"]["keywright.dev/managed"] == "true"
    assert body["metadata"]["name"] == s.layout.name
    assert PLAINTEXT not in json.dumps(body["metadata"])


def one_line(text: str) -> None:
    """In either format of the log: one record, one line, nothing that a terminal obeys."""
    record = logging.LogRecord("keywright", logging.INFO, __file__, 1, "%s", (text,), None)
    record.apikey = "search/case"
    line = JsonLines().format(record)
    assert len(line.splitlines()) == 1
    assert "message" in json.loads(line)
    assert TextLines().format(record).isprintable()


def test_every_hostile_text_in_every_field_is_refused_or_harmless(guarded: Guarded, asker: Asker):
    """More than a thousand cases: a refusal is a 4xx with a sentence, and what is taken goes through the operator's own code."""
    corpus, taken, troubles = list(cases()), 0, []
    assert len(corpus) > 1000
    with guarded.plane.a_namespace() as namespace:
        for called, obj in corpus:
            status, answer = asker.create(namespace, obj, dry=True)
            if status >= 400:
                if status >= 500 or not answer.get("message"):
                    troubles.append((called, status, str(answer)[:200]))
                continue
            taken += 1
            try:
                harmless(answer)
            except (AssertionError, KeywrightError, ValueError) as error:
                troubles.append((called, status, repr(error)[:300]))
    assert troubles == []
    assert 100 < taken < len(corpus) / 2


def test_the_operator_serves_what_was_taken_and_its_log_stays_one_line_a_record(guarded: Guarded, asker: Asker):
    """Each ApiKey of the corpus that the apiserver takes is told how it is; no worker met what it had not expected."""
    since = len(whole_lines(guarded.operator.said()))
    with guarded.a_team() as team:
        taken = [obj for case in cases() if (obj := create(asker, team.namespace, case)) is not None]
        names = {obj["metadata"]["name"] for obj in taken}
        assert len(names) > 100

        def silent() -> set[str]:
            path = f"{GROUP}/{team.namespace}/apikeys"
            items = team.plane.call("GET", path)["items"]
            return {o["metadata"]["name"] for o in items if not (o.get("status") or {}).get("conditions")}

        wait_for(lambda: not silent(), "each has conditions", seconds=300, pause=1)
    said = whole_lines(guarded.operator.said())[since:]
    lines = [json.loads(line) for line in said.splitlines()]
    assert {"time", "level", "logger", "message"} <= set.intersection(*(set(line) for line in lines))
    assert [line for line in lines if "traceback" in line or "forged" in line["level"]] == []
    assert said.isascii()


def whole_lines(log: str) -> str:
    """Without the last one, where it is half written."""
    return log[: log.rfind("\n") + 1]


def create(asker: Asker, namespace: str, case: Case) -> dict[str, Any] | None:
    """An ApiKey of the corpus, where the apiserver takes it."""
    _, obj = case
    if obj["kind"] != "ApiKey":
        return None
    status, answer = asker.create(namespace, obj, dry=False)
    return answer if status < 400 else None
