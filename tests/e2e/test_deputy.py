"""The confused deputy: the operator holds a key to every workspace, and many teams apply YAML. Each forbidden cell asks for no key."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from tests.chaos.proxy import KEYS
from tests.e2e.team import GROUP
from tests.e2e.test_bad_input import make_workspace
from tests.running import wait_for

if TYPE_CHECKING:
    from tests.e2e.guarded import Guarded
    from tests.e2e.team import Team

pytestmark = [pytest.mark.plane, pytest.mark.slow, pytest.mark.xdist_group("guarded")]

WAYS = ("by name", "by wildcard", "by uuid", "renamed, by its old name", "renamed, by its new name", "renamed, by uuid")
"""How a grant names the workspace."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination; `name` is its ApiKey's and its issuer's."""

    number: int
    kind: str
    granted: bool
    way: str
    foreign: bool

    @property
    def name(self) -> str:
        """As YAML has it."""
        return f"cell-{self.number:02}"

    @property
    def refused(self) -> str | None:
        """The reason that is expected; None: it gets a key."""
        if not self.granted or self.way == "renamed, by its old name":
            return "NotGranted"
        return "TargetForeign" if self.foreign else None


CELLS = [
    Cell(number, *cell)
    for number, cell in enumerate(product(("KeyIssuer", "ClusterKeyIssuer"), (True, False), WAYS, (False, True)))
]


def test_every_forbidden_cell_is_refused_before_anything_is_asked_for(guarded: Guarded):
    """Granted or not, by kind of issuer, by the way that a workspace is named, by whose the target is: all combinations."""
    with guarded.a_team() as team:
        workspaces = some_workspaces(guarded, team)
        for cell in CELLS:
            set_up(guarded, team, cell, workspaces)
        for cell in CELLS:
            wait_for(
                lambda cell=cell: looked_at(guarded, issuer_path(team, cell)), f"the issuer of {cell.name} is known"
            )
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda cell: create(team, cell, workspaces), CELLS))
        try:
            found = {cell: wait_for(lambda cell=cell: outcome(team, cell), cell.name) for cell in CELLS}
            assert {cell: found[cell] for cell in CELLS if found[cell] != (cell.refused or "Issued")} == {}
            asked = {cell for cell in CELLS if posts(guarded, team, cell)}
            assert asked == {cell for cell in CELLS if cell.refused is None}
            for cell in CELLS:
                message = team.condition(cell.name)["message"]
                assert "somebody-else" not in message, "other namespaces' grants are nobody's business"
                if cell.foreign:
                    assert team.text(f"{cell.name}-key") == "theirs"
        finally:
            for cell in CELLS:
                if cell.kind == "ClusterKeyIssuer":
                    guarded.plane.call("DELETE", issuer_path(team, cell))


def issuer(team: Team, cell: Cell) -> str:
    """Its name: a cluster's issuers are everybody's."""
    return f"{team.namespace}-{cell.name}" if cell.kind == "ClusterKeyIssuer" else cell.name


def issuer_path(team: Team, cell: Cell) -> str:
    """Where it is."""
    where = "clusterkeyissuers" if cell.kind == "ClusterKeyIssuer" else f"namespaces/{team.namespace}/keyissuers"
    return f"{GROUP}/{where}/{issuer(team, cell)}"


def looked_at(guarded: Guarded, path: str) -> bool:
    """Whether the operator knows an issuer or a store: an ApiKey that is seen before is told for a moment that there is none."""
    return bool((guarded.plane.call("GET", path).get("status") or {}).get("conditions"))


def some_workspaces(guarded: Guarded, team: Team) -> dict[str, str]:
    """Uuids, by what they are called now: one that keeps its name, and one that was renamed."""
    plain, renamed = f"plain-{team.namespace}", f"before-{team.namespace}"
    found = {plain: make_workspace(guarded.sandbox, plain), renamed: make_workspace(guarded.sandbox, renamed)}
    path = f"/v1/admin/workspaces/{found[renamed]}"
    assert guarded.sandbox.call("PATCH", path, {"name": f"after-{team.namespace}"})[0] == 200
    return {plain: found[plain], f"after-{team.namespace}": found[renamed]}


def set_up(guarded: Guarded, team: Team, cell: Cell, workspaces: dict[str, str]) -> None:
    """The cell's own issuer with its one grant; and somebody's Secret, where the target is to be foreign."""
    plain, after = workspaces
    named = {
        "by name": plain,
        "by wildcard": f"{plain[:-2]}*",
        "by uuid": workspaces[plain],
        "renamed, by its old name": f"before-{team.namespace}",
        "renamed, by its new name": after,
        "renamed, by uuid": workspaces[after],
    }[cell.way]
    grant: dict[str, Any] = {"workspaces": [named]}
    if cell.kind == "ClusterKeyIssuer":
        grant["namespaces"] = {"names": [team.namespace if cell.granted else "somebody-else"]}
    elif not cell.granted:
        grant["workspaces"] = ["somebody-elses-*"]
    team.create_issuer(issuer(team, cell), kind=cell.kind, url=guarded.proxy.url, spec={"grants": [grant]})
    if cell.foreign:
        body = {"metadata": {"name": f"{cell.name}-key"}, "stringData": {"api-key": "theirs"}}
        guarded.plane.call("POST", f"/api/v1/namespaces/{team.namespace}/secrets", body)


def create(team: Team, cell: Cell, workspaces: dict[str, str]) -> None:
    """An ApiKey that asks for the workspace, by its name or, where the grant has it so, by its uuid."""
    name = next(name for name in workspaces if name.startswith("after-") is cell.way.startswith("renamed"))
    workspace = workspaces[name] if "uuid" in cell.way else name
    team.create(cell.name, issuerRef={"kind": cell.kind, "name": issuer(team, cell)}, workspace=workspace)


def outcome(team: Team, cell: Cell) -> str | None:
    """Issued, or the reason that nothing is; None while neither is said."""
    conditions = {c["type"]: c for c in team.status(cell.name).get("conditions", ())}
    if conditions.get("Ready", {}).get("status") == "True":
        return "Issued"
    return conditions["Stalled"]["reason"] if "Stalled" in conditions else None


def posts(guarded: Guarded, team: Team, cell: Cell) -> int:
    """How many keys were asked for in a cell's name."""
    return len(guarded.proxy.asked("POST", KEYS, containing=f'"{team.namespace}/{cell.name} [kw/'))
