"""How `keywright status` looks: one screen with what is wrong on top on a terminal, every line whole in a pipe."""

from __future__ import annotations

import pytest
from tests.planning.builders import NOW
from tests.planning.fleets import HOUR, a_lease, an_issuer, an_object, condition, read, retried, stalled, stamp

from keywright.api.report import EventReport, FleetReport
from keywright.cli.status_view import Screen, changes, detail, fleet
from keywright.planning.fleet import detailed, report_of

PIPE = Screen(None, None, glyphs=True)
REFUSED = (
    "keyissuer/mistral: the platform refused the admin key: put a working Admin API key into Secret prod/mistral-admin"
)
LONG = "adhoc-notebook-of-the-data-science-team"
OBJECTS = [
    an_object("search"),
    an_object("ingest", status=stalled("AdminKeyRefused", REFUSED)),
    an_object("chat", status=retried("IssuerUnavailable", "keyissuer/mistral does not answer")),
    an_object(
        LONG, status=stalled("WorkspaceNotFound", "keyissuer/mistral has no workspace x; there are: Default, billing")
    ),
]


def screen(width: int, height: int = 40) -> Screen:
    """A terminal."""
    return Screen(width, height, glyphs=True)


def shown(report: FleetReport, on: Screen) -> list[str]:
    """The lines, without their colours."""
    return [line.plain for line in fleet(report, on)]


def a_report(*objects: dict[str, object], **more: object) -> FleetReport:
    """Of these, and an issuer that the platform refuses."""
    return report_of(read(*(objects or OBJECTS), used=(an_issuer("AdminKeyRefused", REFUSED),), **more), NOW)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_on_a_terminal_no_line_is_wider_than_it(width: int):
    """What is wrong comes first, its remedy below it, the numbers last."""
    lines = shown(a_report(), screen(width))
    assert max(map(len, lines)) <= width
    assert lines[0].startswith("✗ AdminKeyRefused  keyissuer/mistral")
    assert next(line for line in lines if "→" in line).startswith("  → Put a working Admin API key")
    assert any(line.startswith("NAME") for line in lines)
    assert "4 ApiKeys: 2 ready, 0 renew within a week, 2 need a person." in " ".join(lines)


def test_in_a_pipe_every_column_and_every_name_is_whole():
    """A row is a line, and so is a sentence."""
    lines = shown(a_report(), PIPE)
    [header] = [line for line in lines if line.startswith("NAME")]
    assert header.split() == ["NAME", "STATE", "NEXT", "EXPIRES", "KEY", "WORKSPACE", "ISSUER", "TARGET"]
    [row] = [line for line in lines if line.startswith(LONG)]
    assert row.split()[1:3] == ["Stalled", "WorkspaceNotFound"]
    assert f"  {REFUSED}." in lines


def test_a_large_fleet_fits_one_screen():
    """What is due later is counted, and where to see it is said; a pipe gets all."""
    report = a_report(*(an_object(f"key-{i:05}") for i in range(2000)))
    lines = shown(report, screen(100, 30))
    assert len(lines) <= 30
    assert any(line.startswith("… and 1,9") and "| less shows all" in line for line in lines)
    assert len(shown(report, PIPE)) > 2000


def test_many_problems_leave_room_for_the_keys():
    """The first ones are shown."""
    objects = [
        an_object(f"k{i}", status=stalled("TargetForeign", f"Secret k{i}-key is somebody's; write another"))
        for i in range(50)
    ]
    lines = shown(a_report(*objects), screen(100, 40))
    assert sum(line.startswith("✗") for line in lines) == 6
    assert "  and 45 more; | less shows all" in lines


def test_names_are_no_commands_to_the_terminal():
    """Whoever may write an ApiKey chooses words that others read."""
    report = a_report(an_object(status=stalled("InvalidSpec", "\x1b[31mred")))
    assert "\x1b" not in "".join(shown(report, screen(80)))


def test_a_terminal_without_glyphs_gets_ascii():
    """As LANG=C has it."""
    assert "".join(shown(a_report(), Screen(80, 40, glyphs=False))).isascii()


def test_all_namespaces_are_a_column():
    """And an empty cluster says so."""
    report = a_report().model_copy(update={"namespace": None})
    assert any(line.startswith("NAMESPACE  NAME") for line in shown(report, PIPE))
    empty = report_of(read(), NOW)
    assert shown(empty, PIPE)[0] == "There are no ApiKeys in namespace prod; -A looks in all."


def test_one_apikey_in_full():
    """In sentences, in fields, with its conditions and events."""
    older = {
        "keyId": "old-1",
        "issuer": {"kind": "KeyIssuer", "name": "mistral", "uid": "i"},
        "revokeAt": stamp(NOW + 5 * HOUR),
    }
    everything = read(an_object(status={"previous": [older], "lastUsed": "2026-11-23"}), used=(an_issuer(),))
    events = [EventReport(at=NOW - HOUR, type="Normal", reason="Issued", message="Key abcd...wxyz stands in it.")]
    for told, words in (
        (events, "60 min ago  Issued: Key"),
        (None, "Events: you may not list them"),
        ([], "No events"),
    ):
        report = detailed(report_of(everything, NOW), everything, everything.api_keys[0], told, NOW)
        text = "\n".join(line.plain for line in detail(report, screen(100)))
        assert max(map(len, text.splitlines())) <= 100
        for expected in (
            "prod/search  Ready",
            "  Key         abcd...wxyz  key-of-search",
            "  Issuer      keyissuer/mistral, which works",
            "  Target      Secret search-key, data key api-key",
            "  Older key   old-1, until 2026-11-24 17:00:00 UTC (in 5 h)",
            "  Last used   2026-11-23",
            "  Ready       True, Issued, for 60 min: Key abcd...wxyz stands",
            words,
        ):
            assert expected in text


def test_what_changes_is_a_line_each():
    """New, otherwise, gone; what only came nearer is none."""
    before = report_of(read(an_object("a"), an_object("b"), used=(an_issuer(),)), NOW)
    assert (
        changes(before, report_of(read(an_object("a"), an_object("b"), used=(an_issuer(),)), NOW + HOUR / 90)) == []
    ), "time went by"
    issuing = an_object("a", status={"conditions": [condition("Ready", "False", "Issuing", "A key is being issued.")]})
    after = report_of(
        read(issuing, an_object("c"), used=(an_issuer("AdminKeyRefused", REFUSED),), leases=(a_lease(HOUR),)), NOW
    )
    stamped = "2026-11-24T12:00:00Z"
    assert changes(before, after) == [
        f"{stamped} prod/a Issuing: A key is being issued.",
        f"{stamped} prod/c Ready: Key abcd...wxyz stands in Secret c-key and works until 2027-02-17 12:00:00 UTC.",
        f"{stamped} prod/b is gone.",
        f"{stamped} keyissuer/mistral AdminKeyRefused: {REFUSED}",
        f"{stamped} operator Silent",
    ]
