"""ApiKeys found by their Secret, their issuer and their uid, whatever changed and in which order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.adapters.kube_builders import an_api_key, stored

from keywright.adapters.kube_index import ApiKeyIndex

KEYS = st.sampled_from([("a", "one"), ("a", "two"), ("b", "one")])
KINDS = st.sampled_from(["KeyIssuer", "ClusterKeyIssuer"])
ISSUERS = st.tuples(KINDS, st.sampled_from("ij"))
CHANGES = st.lists(
    st.tuples(KEYS, st.one_of(st.none(), st.tuples(st.sampled_from("st"), ISSUERS, st.sets(ISSUERS)))), max_size=12
)


@given(CHANGES)
@settings(max_examples=60, deadline=None)
def test_the_index_is_what_a_search_would_find(changes):
    """After any edits and deletions every question is answered as by looking at all that is there."""
    index = ApiKeyIndex()
    there = {}
    for number, ((namespace, name), change) in enumerate(changes):
        before = there.pop((namespace, name), None)
        after = None
        if change:
            secret, issuer, makers = change
            after = stored(an_api_key(namespace, name, target=secret, issuer=issuer), uid=f"{number:08}-x")
            after["status"] = {"previous": [{"issuer": {"kind": kind, "name": one}} for kind, one in makers]}
            there[namespace, name] = after
        index.replace(before, after)
    found = {key: obj["spec"] for key, obj in there.items()}
    for namespace in "ab":
        for secret in "st":
            expected = {k for k, s in found.items() if k[0] == namespace and s["target"]["secret"]["name"] == secret}
            assert {(k.namespace, k.name) for k in index.of_target(namespace, secret)} == expected
        for issuer in "ij":
            for kind, scope in (("KeyIssuer", namespace), ("ClusterKeyIssuer", None)):
                ref = {"kind": kind, "name": issuer}
                users = {k for k, s in found.items() if s["issuerRef"] == ref and scope in (None, k[0])}
                assert {(k.namespace, k.name) for k in index.of_issuer(kind, scope, issuer)} == users
                assert index.count(kind, scope, issuer, namespace) == len([k for k in users if k[0] == namespace])
                others = {
                    k
                    for k, obj in there.items()
                    if k not in users and {"issuer": ref} in obj["status"]["previous"] and scope in (None, k[0])
                }
                assert {(k.namespace, k.name) for k in index.of_maker(kind, scope, issuer)} == others
    if not there:
        assert not any(vars(index).values()), "nothing is kept of what is gone"


def test_an_object_without_its_fields_is_no_error():
    """One that is older than the CRD's rules may lack a spec: it is found by nothing."""
    index = ApiKeyIndex()
    bare = stored({"metadata": {"namespace": "a", "name": "bare"}})
    index.replace(None, bare)
    index.replace(bare, None)
    assert not any(vars(index).values())
