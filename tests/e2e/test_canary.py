"""I3 on the real plane: plaintexts stand under their own Secrets in etcd, and nowhere else. L2 and L3."""

from __future__ import annotations

import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.chaos.proxy import KEYS, ONE_KEY, answers, cuts, truncated
from tests.e2e.guarded import forms, wal_records, written_key
from tests.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.guarded import Guarded
    from tests.e2e.team import Team

pytestmark = [pytest.mark.plane, pytest.mark.slow, pytest.mark.xdist_group("guarded")]

NAMES = [f"key-{i:03}" for i in range(100)]
IN_A_SECRET = b"\n\x07api-key\x12\x20"
"""What stands before a plaintext in a Secret as etcd has it: the data key, and how long the value is."""

LISTS = (
    "/apis/keywright.dev/v1alpha1/apikeys",
    "/apis/keywright.dev/v1alpha1/keyissuers",
    "/apis/keywright.dev/v1alpha1/clusterkeyissuers",
    "/api/v1/events",
    "/apis/events.k8s.io/v1/events",
    "/api/v1/configmaps",
    "/api/v1/namespaces",
    "/apis/coordination.k8s.io/v1/leases",
)
"""Whole objects, with their managedFields."""


def test_a_hundred_keys_with_faults_stand_under_their_own_secrets_and_nowhere_else(guarded: Guarded):
    """Answers cut off, falsified and lost, an operator killed, keys rotated and revoked: delivered or lost, none shows anywhere."""
    with guarded.a_team() as team:
        live_through_faults(guarded, team)
        delivered = {name: team.text(f"{name}-key") for name in NAMES}
        made = guarded.made(team.namespace)
        assert len(made) > len(NAMES) + 20
        assert set(delivered.values()) <= made
        canaries = made | {guarded.sandbox.admin_key}
        said = dict(everywhere(guarded, team))
        assert [where for where, text in said.items() if any(f in text for c in canaries for f in forms(c))] == []
        in_etcd(guarded, team, canaries, delivered)


def live_through_faults(guarded: Guarded, team: Team) -> None:
    """A hundred keys, twenty of them rotated and five deleted again, while the platform answers badly and the operator dies once."""
    of_us = f'"{team.namespace}/'
    bad = (
        cuts(committed=True),
        truncated(),
        answers(500, {"detail": "oops"}, committed=True),
        answers(200, {"id": 5}, committed=True),
    )
    rules = [guarded.proxy.rule("POST", KEYS, fault, times=4, containing=of_us) for fault in bad]
    rules.append(guarded.proxy.rule("DELETE", ONE_KEY, answers(500, committed=True), times=4))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(team.create, NAMES[:60]))
        wait_for(lambda: len(guarded.made(team.namespace)) > 30, "keys are made")
        guarded.operator.kill()
        guarded.operator.start()
        list(pool.map(team.create, NAMES[60:]))
        list(pool.map(team.ready, NAMES))
        list(pool.map(lambda name: team.annotate(name, compromised="1"), NAMES[:20]))
        list(pool.map(lambda name: team.ready(name, revision=2), NAMES[:20]))
    for name in NAMES[:5]:
        team.create(f"{name}-gone")
        team.ready(f"{name}-gone")
        team.delete(f"{name}-gone")
    for name in NAMES[:5]:
        team.gone(f"{name}-gone")
    for rule in rules:
        rule.off = True


def everywhere(guarded: Guarded, team: Team) -> Iterator[tuple[str, str]]:
    """All that people, other controllers and log collectors get to see, by what it is called."""
    plane = guarded.plane
    yield "the operator's log", guarded.operator.said()
    with urllib.request.urlopen(guarded.operator.metrics, timeout=60) as answer:  # noqa: S310 -- loopback
        yield "metrics", answer.read().decode()
    for path in LISTS:
        yield path, json.dumps(plane.call("GET", path)["items"], ensure_ascii=False)
    secrets = plane.call("GET", f"/api/v1/namespaces/{team.namespace}/secrets")["items"]
    assert all(secret["metadata"]["managedFields"] for secret in secrets)
    yield "Secrets without their data", json.dumps([{k: v for k, v in s.items() if k != "data"} for s in secrets])
    for log in sorted((plane.cluster.directory / "logs").iterdir()):
        yield log.name, log.read_text(encoding="utf-8", errors="replace")


def in_etcd(guarded: Guarded, team: Team, canaries: set[str], delivered: dict[str, str]) -> None:
    """L3: each write that etcd was ever told of, and each file that it keeps, byte by byte."""
    folder = guarded.plane.cluster.directory / "etcd" / "data"
    found: dict[str, set[str]] = {}
    for record in wal_records(folder):
        for canary in canaries:
            at = record.find(canary.encode())
            while at >= 0:
                found.setdefault(canary, set()).add(written_key(record, at))
                at = record.find(canary.encode(), at + 1)
    secrets = f"/registry/secrets/{team.namespace}"
    for name, plaintext in delivered.items():
        assert found.pop(plaintext) == {f"{secrets}/{name}-key"}
    assert found.pop(guarded.sandbox.admin_key) >= {f"{secrets}/mistral-admin"}
    # What was rotated away stood under one Secret of ours in its time; what was lost never reached etcd.
    assert all(len(keys) == 1 and next(iter(keys)).startswith(f"{secrets}/key-") for keys in found.values())
    seen = 0
    for path in (path for path in folder.rglob("*") if path.is_file()):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            continue  # etcd gives a file that it has prepared another name
        for canary in canaries - {guarded.sandbox.admin_key}:
            plain, *encoded = (form.encode() for form in forms(canary))
            assert data.count(plain) == data.count(IN_A_SECRET + plain), path
            assert not any(form in data for form in encoded), path
            seen += data.count(plain)
    assert seen >= len(delivered), "the files are those that hold the Secrets"


def test_the_process_leaves_nothing_behind(guarded: Guarded):
    """L2: no core file, nothing in its environment, on its command line or in a temporary file; no file is open but its log."""
    with guarded.a_team() as team:
        team.create()
        team.ready()
        canaries = {team.text(), guarded.sandbox.admin_key}
        assert guarded.operator.process is not None
        proc = Path("/proc") / str(guarded.operator.process.pid)
        limits = (proc / "limits").read_text()
        [core] = [line for line in limits.splitlines() if line.startswith("Max core file size")]
        assert core.split()[4:6] == ["0", "0"]
        for name in ("environ", "cmdline"):
            text = (proc / name).read_bytes().decode(errors="replace")
            assert not any(form in text for canary in canaries for form in forms(canary)), name
        # The Kubernetes client writes a kubeconfig's certificates there.
        for path in guarded.scratch.iterdir():
            assert not any(form in path.read_text() for canary in canaries for form in forms(canary)), path
        wait_for(lambda: open_files(proc) == {guarded.operator.log}, "no file is open but its log")


def open_files(proc: Path) -> set[Path]:
    """Of a process, less sockets and the like."""
    found = set()
    for fd in (proc / "fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.add(fd.readlink())
    return {file for file in found if file.is_file()}
