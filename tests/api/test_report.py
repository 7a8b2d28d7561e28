"""The document that `keywright status -o json` prints: its schema is the one that is published, and it is a schema."""

from __future__ import annotations

import json
from pathlib import Path

from jsonschema_rs import Draft202012Validator, meta
from tests.planning.builders import NOW
from tests.planning.fleets import HOUR, an_issuer, an_object, read, retried, stalled

from keywright.api.crd import schema_page
from keywright.api.report import EventReport
from keywright.planning.fleet import detailed, report_of

PAGE = Path(__file__).parent.parent.parent / "docs" / "status.schema.json"


def test_the_published_schema_is_current():
    """`make generate` mends it."""
    assert PAGE.read_text(encoding="utf-8") == schema_page()


def test_what_is_printed_keeps_to_the_schema():
    """A fleet with problems, and one ApiKey in full."""
    schema = json.loads(PAGE.read_text(encoding="utf-8"))
    meta.validate(schema)
    validator = Draft202012Validator(schema)
    objects = [
        an_object(),
        an_object("b", status=stalled("NotGranted", "no")),
        an_object("c", status=retried("IssueFailed", "x", NOW)),
    ]
    everything = read(*objects, used=(an_issuer("AdminKeyRefused", "no", strays=1),), unread=["you may not."])
    validator.validate(report_of(everything, NOW).to_dict())
    one = read(objects[0])
    events = [EventReport(at=NOW - HOUR, type="Normal", reason="Issued", message="x")]
    validator.validate(detailed(report_of(one, NOW), one, one.api_keys[0], events, NOW).to_dict())
    assert not validator.is_valid({"schema": "keywright.dev/status/v2"})
