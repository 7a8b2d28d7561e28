"""A control plane with one operator and a platform behind a proxy, where everything that anybody wrote can be searched."""

from __future__ import annotations

import base64
import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.chaos.proxy import KEYS
from tests.e2e.team import Team
from tests.exchange import HAND
from tests.running import audited

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.chaos.proxy import FaultProxy
    from tests.conftest import Plane
    from tests.running import Operator, Sandbox

__all__ = ["ACCOUNT", "Guarded", "ended", "forms", "requests_of", "wal_records"]

ACCOUNT = "system:serviceaccount:keywright-system:keywright"
"""The operator's user."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """All of it. `scratch`: the operator's folder for temporary files."""

    plane: Plane
    sandbox: Sandbox
    proxy: FaultProxy
    operator: Operator
    scratch: Path

    @contextmanager
    def a_team(self, *, with_issuer: bool = True) -> Iterator[Team]:
        """A namespace of its own, with a KeyIssuer behind the proxy unless it wants none."""
        with self.plane.a_namespace() as namespace:
            team = Team(self.plane, self.sandbox, namespace, self.operator)
            if with_issuer:
                team.create_admin_secret()
                team.create_issuer(url=self.proxy.url)
            yield team

    def made(self, namespace: str) -> set[str]:
        """The plaintexts of all keys that the platform made for a namespace's ApiKeys, delivered or lost."""
        found: set[str] = set()
        for exchange in self.proxy.asked("POST", KEYS, containing=f'"{namespace}/'):
            if exchange.answer and exchange.status in (200, 201):
                found.add(json.loads(exchange.answer.partition(b"\r\n\r\n")[2])["key"])
        return found


def forms(plaintext: str) -> list[str]:
    """As it is, and in base64 at each of the three places that it may begin at within something longer."""
    shifted = (base64.b64encode(b"x" * shift + plaintext.encode()).decode()[4:40] for shift in range(3))
    return [plaintext, *shifted]


def requests_of(plane: Plane, user: str) -> list[dict[str, Any]]:
    """All that a user's programs have asked for, as the audit log has it; not what a test asked with the user's token."""
    found = audited(plane.audit_log)
    return [e for e in found if e["user"]["username"] == user and e["userAgent"] != HAND]


def ended(plane: Plane) -> dict[str, str]:
    """Namespaces whose deletion was asked for, and when: what gives rights there goes before the operator has finished."""
    return {
        entry["objectRef"]["name"]: entry["requestReceivedTimestamp"]
        for entry in audited(plane.audit_log)
        if entry["verb"] == "delete" and (entry.get("objectRef") or {}).get("resource") == "namespaces"
    }


def wal_records(folder: Path) -> Iterator[bytes]:
    """Each record of etcd's write-ahead log: one write of one key, whole. All that etcd was ever told is in there."""
    for path in sorted(folder.rglob("*.wal")):
        data, at = path.read_bytes(), 0
        while at + 8 <= len(data):
            field = int.from_bytes(data[at : at + 8], "little")
            length, padding = field & ((1 << 56) - 1), (field >> 56) & 7 if field >> 63 else 0
            if length == 0:
                break  # the rest was allocated ahead
            yield data[at + 8 : at + 8 + length]
            at += 8 + length + padding


def written_key(record: bytes, at: int) -> str:
    """The key of the value that a place in a record belongs to: the last that is named before it."""
    return re.findall(rb"/registry/[\w./-]+", record[:at])[-1].decode()
