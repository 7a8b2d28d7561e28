"""Who does not hold the lease sends nothing that changes anything: asked last, right before a request leaves."""

from __future__ import annotations

import asyncio

import pytest
from tests.adapters.kube_wire import a_kubeconfig, a_status
from tests.adapters.mistral_answers import EMPTY_LIST, KEY_ID, PLAINTEXT, REQUEST, created
from tests.adapters.wire_server import USER, http
from tests.ports.fake_lease import LentLease

from keywright.adapters.kube import KubeApi
from keywright.adapters.kube_login import Login
from keywright.adapters.mistral import mistral_factory
from keywright.api.keyissuer import KeyIssuerSpec
from keywright.errors import NotLeading, RateLimited, Rejected
from keywright.keys import KeyId, SecretValue

FOREVER = float("inf")
SECRETS = "/api/v1/namespaces/team/secrets"

CHANGES = {
    "create": lambda issuer: issuer.create(REQUEST),
    "revoke": lambda issuer: issuer.revoke(KeyId(KEY_ID)),
}
READS = {
    "list": lambda issuer: issuer.list_keys(),
    "check": lambda issuer: issuer.check(SecretValue(PLAINTEXT)),
}


@pytest.mark.parametrize("call", CHANGES.values(), ids=CHANGES)
async def test_a_change_at_the_issuer_asks_for_its_whole_deadline(wire, an_issuer, call):
    """One that lasts for just as long is too short; a little longer, and it is sent."""
    wire.answers(http(200, created(PLAINTEXT)))
    lease = LentLease(10.0)
    issuer = an_issuer(lease=lease)
    with pytest.raises(NotLeading):
        await call(issuer)
    assert wire.seen == []
    lease.seconds = 10.001
    await call(issuer)
    assert len(wire.seen) == 1
    assert lease.asked == [10.0, 10.0]


@pytest.mark.parametrize("call", READS.values(), ids=READS)
async def test_a_read_at_the_issuer_asks_only_whether_it_is_held(wire, an_issuer, call):
    """It can do no harm later on; and who has lost the lease has no business there."""
    wire.answers(EMPTY_LIST)
    lease = LentLease(0.001)
    issuer = an_issuer(lease=lease)
    await call(issuer)
    lease.seconds = 0.0
    with pytest.raises(NotLeading):
        await call(issuer)
    assert len(wire.seen) == 1


@pytest.mark.parametrize("call", CHANGES.values(), ids=CHANGES)
async def test_the_lease_is_asked_after_the_budget_was_waited_for(wire, an_issuer, call):
    """Lost while a request waits for its turn: it is not sent when that comes."""
    wire.answers(EMPTY_LIST, http(200, created(PLAINTEXT)))
    lease = LentLease(FOREVER)
    issuer = an_issuer(per_second=1, burst=1, lease=lease)
    await issuer.list_keys()
    waiting = asyncio.create_task(call(issuer))
    await asyncio.sleep(0.05)
    assert lease.asked == [0.0], "it waits for the budget, and has not asked yet"
    lease.seconds = 0.0
    with pytest.raises(NotLeading):
        await waiting
    assert len(wire.seen) == 1


async def test_no_attempt_is_begun_that_the_lease_would_not_let_end(wire, an_issuer):
    """What is asked before an intent is written down refuses too, after a pause that the platform asked for."""
    lease = LentLease(5.0)
    issuer = an_issuer(lease=lease)
    with pytest.raises(NotLeading):
        issuer.quiet()
    lease.seconds = FOREVER
    issuer.quiet()
    wire.answers(http(429))
    with pytest.raises(RateLimited):
        await issuer.create(REQUEST)
    lease.seconds = 0.0
    with pytest.raises(RateLimited):
        issuer.quiet()


def refusal(timeout: str, longest_call: float) -> str | None:
    """What the factory says of a KeyIssuer with this timeout."""
    mistral = {"user": USER, "adminKeySecretRef": {"name": "admin", "key": "key"}}
    spec = KeyIssuerSpec.model_validate({"mistral": mistral, "requests": {"timeout": timeout}})
    factory = mistral_factory(allow_insecure=False, longest_call=longest_call)
    try:
        factory("keyissuer/mistral", spec, SecretValue("ak"), None)
    except Rejected as error:
        return f"{error.reason}: {error}"
    return None


def test_an_issuer_whose_requests_outlast_the_lease_is_refused():
    """With both remedies; one that just fits is not, and without an election any does."""
    assert refusal("11s", 10.0) == (
        "IssuerInvalid: keyissuer/mistral: spec.requests.timeout of 11s does not fit into the operator's lease; write at most 10s, "
        "or run keywright with a longer --lease-duration"
    )
    assert refusal("10s", 10.0) is None
    assert refusal("5m", FOREVER) is None


@pytest.fixture
async def connect(wire, tmp_path):
    """A client of the WireServer that asks this lease."""
    made = []

    async def build(lease):
        login = await Login.load(a_kubeconfig(tmp_path / "kubeconfig", wire.url, {"token": "a-token"}))
        made.append(KubeApi(login, lease))
        return made[-1]

    yield build
    for api in made:
        await api.close()


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
async def test_a_write_to_the_apiserver_asks_whether_the_lease_is_held(wire, connect, method):
    """No longer than that: it is guarded. A read and a rehearsal change nothing, and a standby lists too."""
    wire.answers(http(200, {}))
    lease = LentLease(0.0)
    api = await connect(lease)
    with pytest.raises(NotLeading):
        await api.request(method, SECRETS, body={})
    assert wire.seen == []
    await api.request("GET", SECRETS)
    await api.request(method, SECRETS, body={}, params={"dryRun": "All"})
    assert len(wire.seen) == 2
    lease.seconds = 0.001
    await api.request(method, SECRETS, body={})
    assert len(wire.seen) == 3
    assert lease.asked == [0.0, 0.0]


async def test_a_write_that_was_turned_away_asks_again(wire, connect, tmp_path):
    """The lease may be lost while fresher credentials are fetched."""
    lease = LentLease(FOREVER)
    api = await connect(lease)
    wire.answers(http(200, {}))
    await api.request("GET", "/version")
    a_kubeconfig(tmp_path / "kubeconfig", wire.url, {"token": "fresh"})

    async def turn_away(writer):
        lease.seconds = 0.0
        writer.write(http(401, a_status("Unauthorized")))
        await writer.drain()

    wire.answers(turn_away, http(201, {}))
    with pytest.raises(NotLeading):
        await api.request("POST", SECRETS, body={})
    assert [one.method for one in wire.seen] == ["GET", "POST"]
