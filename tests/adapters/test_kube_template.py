"""Rendering a plaintext into texts, and recovering it from them."""

from __future__ import annotations

import contextlib
import hashlib
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.adapters.kube_builders import a_record, an_owner

from keywright.adapters.kube_template import Texts
from keywright.errors import Rejected
from keywright.keys import SecretValue

# Short alphabets, so that literals, variables' values and plaintexts overlap as badly as they can.
PLAINTEXTS = st.text("ab$", min_size=1, max_size=8)
TOKENS = st.sampled_from(
    ["a", "b", "$$", "{", "}", "\n", "ü", "${api_key}", "${key_id}", "${expires_at}", "${workspace}"]
)
TEXTS = st.lists(TOKENS, max_size=8).map("".join)
TEMPLATES = st.dictionaries(st.sampled_from(["x", "y", "z"]), TEXTS, min_size=1).filter(
    lambda template: any("${api_key}" in text.replace("$$", "") for text in template.values())
)


def a_short_record(plaintext):
    """A record whose values are made of the plaintexts' own letters."""
    return a_record(an_owner(), plaintext, key_id="ab", workspace_name="ba", expires_on=None)


@given(TEMPLATES, PLAINTEXTS)
@settings(max_examples=50, deadline=None)
def test_what_is_rendered_is_recovered(template, plaintext):
    """From the texts and their template alone, with no digest to check against, the very plaintext comes back."""
    texts = Texts("unused", template, a_short_record(plaintext))
    data = texts.render(SecretValue(plaintext))
    recovered = texts.recover(data, None)
    assert recovered is not None
    assert recovered.reveal() == plaintext
    assert texts.stand_in(data, recovered)


@given(TEMPLATES, PLAINTEXTS, st.data())
@settings(max_examples=50, deadline=None)
def test_a_changed_text_never_gives_the_recorded_plaintext_wrongly(template, plaintext, data):
    """With one text replaced by anything, what is recovered has the recorded digest only where it is that plaintext."""
    texts = Texts("unused", template, a_short_record(plaintext))
    changed = texts.render(SecretValue(plaintext))
    changed[data.draw(st.sampled_from(sorted(changed)))] = data.draw(st.binary(max_size=12))
    digest = hashlib.sha256(plaintext.encode()).hexdigest()
    recovered = texts.recover(changed, digest)
    assert recovered is None or (recovered.digest() == digest) == (recovered.reveal() == plaintext)


def test_the_recorded_plaintext_is_found_beside_a_spoilt_one():
    """Where two texts disagree, the one with the recorded digest wins, and the texts count as changed."""
    template = {"a": "key=${api_key}", "b": "${api_key}"}
    texts = Texts("unused", template, None)
    data = {"a": b"key=other", "b": b"right"}
    recovered = texts.recover(data, hashlib.sha256(b"right").hexdigest())
    assert recovered is not None
    assert recovered.reveal() == "right"
    assert not texts.stand_in(data, recovered)


def test_all_variables_are_filled_in():
    """A template may use the key, its id, its end and its workspace, and $$ is a dollar."""
    owner = an_owner()
    template = {
        "config.ini": "key=${api_key}\nid=${key_id}\nuntil=${expires_at}\nin=${workspace}\ncost=$$5 $${api_key}"
    }
    record = a_record(owner, "plain")
    rendered = Texts("unused", template, record).render(SecretValue("plain"))
    assert rendered["config.ini"].decode() == (
        f"key=plain\nid={record.key_id}\nuntil=2027-01-31T23:59:59Z\nin=search-prod\ncost=$5 ${{api_key}}"
    )


def test_without_a_template_the_key_holds_the_bare_plaintext():
    """spec.target.secret.key alone is the commonest case."""
    assert Texts("api-key", None, None).render(SecretValue("plain")) == {"api-key": b"plain"}


def test_an_unknown_variable_is_refused_by_name():
    """The message names the data key and the variables that exist."""
    with pytest.raises(
        Rejected, match=r"template: conf uses a variable that does not exist; there are \$\{api_key\}"
    ) as refused:
        Texts("unused", {"conf": "${api_kye}"}, None)
    assert refused.value.reason == "InvalidSpec"


@pytest.mark.parametrize("data", [{}, {"api-key": b""}, {"api-key": b"\xff\xfe"}, {"other": b"x"}])
def test_no_plaintext_is_recovered_where_there_is_none(data):
    """A missing, empty or undecodable value holds no key."""
    assert Texts("api-key", None, None).recover(data, None) is None


LONG = "x" * 500_000
BOMBS = [
    # One text gives a long plaintext, another one repeats it.
    ({"a": "${api_key}", "b": "${api_key}" * 20_000}, None, {"a": LONG.encode()}),
    ({"a": "${api_key}", "b": "${api_key}" * 20_000}, None, {"a": LONG[:1000].encode()}),
    # The record's own words are repeated.
    ({"a": "${api_key}", "b": "${workspace}" * 10_000}, {"workspace_name": LONG[:100_000]}, {"a": b"x" * 32}),
    ({"a": "${api_key}", "b": "${key_id}" * 10_000}, {"key_id": LONG[:100_000]}, {"a": b"x" * 32}),
]


@pytest.mark.parametrize(("template", "record", "data"), BOMBS)
def test_a_template_that_stands_for_gigabytes_is_not_put_together(template, record, data):
    """Whoever may edit one Secret writes its annotations and its data: the operator's memory is everybody's."""
    written = a_record(an_owner(), "plain", **(record or {}))
    tracemalloc.start()
    try:
        with contextlib.suppress(Rejected):  # as read_secret passes over what cannot be laid out
            texts = Texts("unused", template, written)
            recovered = texts.recover(data, hashlib.sha256(data["a"]).hexdigest())
            assert recovered is None or not texts.stand_in(data, recovered)
            texts.render(recovered or SecretValue("x" * 100))
            pytest.fail("a text of more than 1 MiB was rendered")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 32 * 2**20
