"""The confused deputy where keys go to Vault: whose store, whose path, whose login. Each forbidden cell asks for no key."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from tests.chaos.proxy import KEYS
from tests.e2e.team import GROUP
from tests.e2e.test_admission import refusal
from tests.e2e.test_deputy import looked_at, outcome
from tests.e2e.vault_team import set_up
from tests.running import wait_for
from tests.vaults import vault_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.guarded import Guarded
    from tests.e2e.team import Team
    from tests.vaults import Vault

pytestmark = [pytest.mark.plane, pytest.mark.slow, pytest.mark.xdist_group("guarded")]

STORES = {
    "own": None,
    "own, with a login of another namespace": "StoreRefused",
    "own, below another namespace's prefix": "TargetRefused",
    "another namespace's": "StoreNotFound",
    "cluster's, for this namespace": None,
    "cluster's, for namespaces with its label": None,
    "cluster's, for another namespace": "StoreNotGranted",
    "cluster's, for nobody": "StoreNotGranted",
}
"""Why a store is refused."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination; `name` is its ApiKey's."""

    number: int
    store: str
    kind: str
    granted: bool
    foreign: bool

    @property
    def name(self) -> str:
        """As YAML has it."""
        return f"cell-{self.number:02}"

    @property
    def refused(self) -> set[str]:
        """The reasons that are expected, of which one is said; none: it gets a key."""
        why = {STORES[self.store], None if self.granted else "NotGranted"} - {None}
        return {str(one) for one in why} or ({"TargetForeign"} if self.foreign else set())


CELLS = [
    Cell(number, *cell)
    for number, cell in enumerate(
        product(
            STORES, ("KeyIssuer", "ClusterKeyIssuer"), (True, False), (False, True)
        )  # store, issuer, granted, foreign
    )
]


@contextmanager
def two_teams(guarded: Guarded) -> Iterator[tuple[Team, Team, Vault]]:
    """Each may log in to Vault for itself, and has the path prefix of its name."""
    vault = vault_of(guarded.plane)
    with guarded.a_team() as team, guarded.a_team() as other:
        for one in (team, other):
            set_up(guarded.plane, vault, one.namespace)
        yield team, other, vault


def a_store(vault: Vault, role: str, **spec: Any) -> dict[str, Any]:
    """A spec that logs in by a role."""
    plain = {"address": vault.address, "prefix": "{namespace}/", "auth": {"kubernetes": {"role": role}}}
    return {**plain, **spec}


def stores_of(team: Team, other: Team, vault: Vault) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Kind, namespace and spec of each, by how it is called above."""
    mine, theirs = team.namespace, other.namespace
    label = {"matchLabels": {"kubernetes.io/metadata.name": mine}}
    return {
        "own": ("VaultStore", mine, a_store(vault, mine)),
        "own, with a login of another namespace": ("VaultStore", mine, a_store(vault, theirs)),
        "own, below another namespace's prefix": ("VaultStore", mine, a_store(vault, mine, prefix=f"{theirs}/")),
        "another namespace's": ("VaultStore", theirs, a_store(vault, mine)),
        "cluster's, for this namespace": ("ClusterVaultStore", "", a_store(vault, mine, namespaces={"names": [mine]})),
        "cluster's, for namespaces with its label": (
            "ClusterVaultStore",
            "",
            a_store(vault, mine, namespaces={"selector": label}),
        ),
        "cluster's, for another namespace": (
            "ClusterVaultStore",
            "",
            a_store(vault, mine, namespaces={"names": [theirs]}),
        ),
        "cluster's, for nobody": ("ClusterVaultStore", "", a_store(vault, mine)),
    }


def post(guarded: Guarded, kind: str, namespace: str, name: str, spec: dict[str, Any]) -> str:
    """Create an object of ours; its path."""
    folder = f"{kind.lower()}s" if not namespace else f"namespaces/{namespace}/{kind.lower()}s"
    body = {"apiVersion": "keywright.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    guarded.plane.call("POST", f"{GROUP}/{folder}", body)
    return f"{GROUP}/{folder}/{name}"


def posts(guarded: Guarded, team: Team, name: str) -> int:
    """How many keys were asked for in an ApiKey's name."""
    return len(guarded.proxy.asked("POST", KEYS, containing=f'"{team.namespace}/{name} [kw/'))


def in_vault(kind: str, store: str, path: str) -> dict[str, Any]:
    """A target."""
    return {"vault": {"storeRef": {"kind": kind, "name": store}, "path": path}}


def test_every_forbidden_cell_is_refused_before_anything_is_asked_for(guarded: Guarded):
    """By whose store it is and for whom, whose login it uses, whose the path is, and what the issuer grants: all combinations."""
    with two_teams(guarded) as (team, other, vault):
        stores = stores_of(team, other, vault)
        named = {how: f"{team.namespace}-{number}" for number, how in enumerate(stores)}
        made: list[str] = []
        try:
            known = [post(guarded, kind, space, named[how], spec) for how, (kind, space, spec) in stores.items()]
            made += [path for path in known if "/clustervaultstores/" in path]
            for kind, granted in product(("KeyIssuer", "ClusterKeyIssuer"), (True, False)):
                grant: dict[str, Any] = {"workspaces": ["search-prod" if granted else "somebody-elses-*"]}
                name, where = f"{team.namespace}-{granted}".lower(), f"namespaces/{team.namespace}/keyissuers"
                if kind == "ClusterKeyIssuer":
                    grant["namespaces"], where = {"names": [team.namespace]}, "clusterkeyissuers"
                    made.append(f"{GROUP}/{where}/{name}")
                team.create_issuer(name, kind=kind, url=guarded.proxy.url, spec={"grants": [grant]})
                known.append(f"{GROUP}/{where}/{name}")
            for path in known:
                wait_for(lambda path=path: looked_at(guarded, path), f"{path} is known")
            for cell in CELLS:
                if cell.foreign:
                    vault.put(f"{team.namespace}/{cell.name}", {"api_key": "theirs"})

            def create(cell: Cell) -> None:
                issuer = {"kind": cell.kind, "name": f"{team.namespace}-{cell.granted}".lower()}
                target = in_vault(stores[cell.store][0], named[cell.store], cell.name)
                team.create(cell.name, issuerRef=issuer, target=target)

            with ThreadPoolExecutor(8) as pool:
                list(pool.map(create, CELLS))
            found = {cell: wait_for(lambda cell=cell: outcome(team, cell), str(cell)) for cell in CELLS}
            wrong = {cell: found[cell] for cell in CELLS if found[cell] not in (cell.refused or {"Issued"})}
            assert wrong == {}
            asked = {cell for cell in CELLS if posts(guarded, team, cell.name)}
            assert asked == {cell for cell in CELLS if not cell.refused}
            for cell in CELLS:
                assert other.namespace not in team.condition(cell.name)["message"] or cell.store.startswith("own, ")
                held = vault.data(f"{team.namespace}/{cell.name}")
                assert (held or {}).get("api_key") == "theirs" if cell.foreign else bool(held) is not bool(cell.refused)
                assert vault.metadata(f"{other.namespace}/{cell.name}") is None
        finally:
            for one in made:
                guarded.plane.call("DELETE", one)


PATHS = {
    "climbs": "../{other}/x",
    "climbs in the midst": "a/../../{other}/x",
    "climbs in another spelling": "%2e%2e/{other}/x",
    "begins at the root": "/{other}/x",
    "has an empty part": "a//x",
    "asks for something": "x?version=1",
    "goes to another end of the engine": "../../metadata/{other}/x",
    "is broken over lines": "x\n../{other}/x",
    "has the variable of prefixes": "{{namespace}}/../{other}/x",
}
REFS = {
    "a Vault token of another namespace": ("VaultStore", {"auth": {"tokenSecretRef": {"namespace": "{other}"}}}),
    "a secret id of another namespace": (
        "VaultStore",
        {"auth": {"appRole": {"roleId": "r", "secretIdSecretRef": {"namespace": "{other}"}}}},
    ),
    "a CA bundle of another namespace": (
        "VaultStore",
        {"auth": {"kubernetes": {"role": "r"}}, "caBundleConfigMapRef": {"namespace": "{other}"}},
    ),
    "namespaces of its own choice": (
        "VaultStore",
        {"auth": {"kubernetes": {"role": "r"}}, "namespaces": {"names": ["{other}"]}},
    ),
    "an admin key of another namespace": (
        "KeyIssuer",
        {"mistral": {"user": "admin@example.com", "adminKeySecretRef": {"namespace": "{other}"}}},
    ),
    "one prefix for all namespaces": (
        "ClusterVaultStore",
        {"auth": {"kubernetes": {"role": "r"}}, "prefix": "shared/", "namespaces": {"names": ["{other}"]}},
    ),
}


def filled(spec: Any, other: str) -> Any:
    """With the other namespace's name, and what else a reference needs."""
    if isinstance(spec, dict):
        more = {"name": "mistral-admin", "key": "admin-key"} if "namespace" in spec else {}
        return more | {key: filled(value, other) for key, value in spec.items()}
    if isinstance(spec, list):
        return [filled(one, other) for one in spec]
    return spec.format(other=other) if isinstance(spec, str) else spec


def test_no_path_and_no_reference_leads_elsewhere(guarded: Guarded):
    """The apiserver refuses them with a sentence, or else the operator does: neither is anything read there, nor a key asked for."""
    with two_teams(guarded) as (team, other, vault):
        post(guarded, "VaultStore", team.namespace, "vault", a_store(vault, team.namespace))
        for number, (how, path) in enumerate(PATHS.items()):
            name, target = f"path-{number}", in_vault("VaultStore", "vault", path.format(other=other.namespace))
            said = refusal(lambda name=name, target=target: team.create(name, target=target))
            if said:
                assert ": 422" in said, (how, said)
            else:
                assert "path" in team.says("InvalidSpec", name, of_type="Stalled"), how
            assert posts(guarded, team, name) == 0, how
        for number, (how, (kind, spec)) in enumerate(REFS.items()):
            described = filled(spec, other.namespace) | ({"address": vault.address} if "Vault" in kind else {})
            namespace = "" if kind.startswith("Cluster") else team.namespace
            said = refusal(post, guarded, kind, namespace, f"ref-{number}", described)
            assert ": 422" in said, (how, said)
