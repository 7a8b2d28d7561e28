"""Where the apiserver is and how to log in there: kubeconfigs, pods, plugins; fresh, and without a token in an error."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import subprocess

import pytest
from kubernetes.aio.config import incluster_config
from tests.adapters.kube_wire import a_kubeconfig, plugins_ended

from keywright.adapters import kube_login
from keywright.adapters.kube_login import RELOAD_EVERY, RENEW_EVERY, Login, own_namespace
from keywright.errors import Rejected

SERVER = "https://127.0.0.1:6443"


def a_plugin(folder, script):
    """An exec plugin's user section; the script prints the credential's status as JSON."""
    plugin = folder / "plugin"
    plugin.write_text(f"#!/bin/sh\n{script}\n")
    plugin.chmod(0o755)
    return {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin), "interactiveMode": "Never"}
    }


def says(**status):
    """Print an ExecCredential."""
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    return f"echo '{json.dumps(credential)}'"


async def loaded(tmp_path, user, **cluster):
    """The login of a kubeconfig with this user."""
    return await Login.load(a_kubeconfig(tmp_path / "kubeconfig", SERVER, user, **cluster))


@pytest.mark.parametrize(
    ("user", "header"),
    [
        ({"token": "made-up"}, "Bearer made-up"),
        ({"token": "made-up\n"}, "Bearer made-up"),
        ({"username": "a", "password": "b"}, "Basic " + base64.b64encode(b"a:b").decode()),
        ({}, None),
    ],
)
async def test_a_kubeconfig_gives_the_header(tmp_path, user, header):
    """Token, password, or nobody."""
    login = await loaded(tmp_path, user)
    assert await login.authorization(0) == header
    assert login.server == SERVER
    assert "made-up" not in repr(login)


async def test_a_token_file_is_read_again(tmp_path):
    """The kubelet and others replace it: within a minute the new one is used, and not at each request."""
    (tmp_path / "token").write_text("one")
    login = await loaded(tmp_path, {"tokenFile": str(tmp_path / "token")})
    assert await login.authorization(0) == "Bearer one"
    (tmp_path / "token").write_text("two")
    assert await login.authorization(RELOAD_EVERY - 1) == "Bearer one"
    assert await login.authorization(RELOAD_EVERY) == "Bearer two"


async def test_a_token_that_cannot_be_sent_is_said(tmp_path):
    """A header would end at a line break; the message names the file and not the token."""
    for token in ("made\nup", "mäde-up", "made\x00up"):
        with pytest.raises(Rejected, match="characters that no token has") as caught:
            await loaded(tmp_path, {"token": token})
        assert token not in str(caught.value)


async def test_a_pod_reads_its_own_account(tmp_path, monkeypatch, certificate):
    """Address, authority and token from where the kubelet puts them; the token anew each minute."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(certificate / "cert.pem"))
    with pytest.raises(Rejected, match="looks like a pod, but its service account's token or CA is missing"):
        await Login.load()
    (tmp_path / "token").write_text("one\n")
    login = await Login.load()
    assert login.server == "https://[fd00::1]:443"
    assert login.tls.cert_store_stats()["x509"] == 1, "the cluster's authority alone"
    assert await login.authorization(0) == "Bearer one"
    (tmp_path / "token").write_text("two")
    assert await login.authorization(RELOAD_EVERY) == "Bearer two"
    (tmp_path / "token").unlink()
    assert await login.authorization(2 * RELOAD_EVERY) == "Bearer two", "what is held may serve on"


async def test_a_kubeconfig_goes_before_the_pods_account(tmp_path, monkeypatch):
    """KUBECONFIG, or one that is given, is what the user meant; a list of files may have gaps."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    path = a_kubeconfig(tmp_path / "kubeconfig", SERVER, {"token": "t"})
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/missing:{path}")
    assert (await Login.load()).server == SERVER


async def test_client_certificates_are_presented_and_renewed(tmp_path, certificate):
    """Embedded or by path; where the file changes, the next connection presents the new pair."""
    pair = {
        "client-certificate-data": base64.b64encode((certificate / "cert.pem").read_bytes()).decode(),
        "client-key-data": base64.b64encode((certificate / "key.pem").read_bytes()).decode(),
    }
    assert await (await loaded(tmp_path, pair)).authorization(0) is None
    by_path = {"client-certificate": str(certificate / "cert.pem"), "client-key": str(certificate / "key.pem")}
    login = await loaded(tmp_path, by_path)
    with pytest.raises(Rejected, match="client certificate in the kubeconfig cannot be read"):
        await loaded(tmp_path, {**by_path, "client-key": str(certificate / "cert.pem")})
    assert login.configuration.cert_file == str(certificate / "cert.pem")


@pytest.mark.parametrize(
    ("cluster", "mode"), [({}, ssl.CERT_REQUIRED), ({"insecure-skip-tls-verify": True}, ssl.CERT_NONE)]
)
async def test_certificates_are_checked_unless_the_kubeconfig_says_otherwise(tmp_path, cluster, mode):
    """And as Go checks them: Python's own strictness beyond that would shut out many clusters."""
    login = await loaded(tmp_path, {"token": "t"}, **cluster)
    assert login.tls.verify_mode is mode
    assert not login.tls.verify_flags & ssl.VERIFY_X509_STRICT


async def test_server_name_and_proxy_are_the_kubeconfigs(tmp_path):
    """tls-server-name and proxy-url."""
    login = await loaded(
        tmp_path, {"token": "t"}, **{"tls-server-name": "kubernetes", "proxy-url": "http://proxy.example:3128"}
    )
    assert (login.configuration.tls_server_name, login.proxy) == ("kubernetes", "http://proxy.example:3128")


async def test_a_plugin_is_run_again_when_its_credential_ends(tmp_path):
    """Not at each request, not each minute: when what it gave has expired."""
    (tmp_path / "status").write_text(json.dumps({"token": "one", "expirationTimestamp": "2001-01-01T00:00:00Z"}))
    head = '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": '
    login = await loaded(tmp_path, a_plugin(tmp_path, f"printf '{head}'; cat {tmp_path}/status; echo '}}'"))
    assert await login.authorization(0) == "Bearer one"
    (tmp_path / "status").write_text(json.dumps({"token": "two", "expirationTimestamp": "2999-01-01T00:00:00Z"}))
    assert await login.authorization(RELOAD_EVERY) == "Bearer two"
    (tmp_path / "status").write_text(json.dumps({"token": "three"}))
    assert await login.authorization(2 * RELOAD_EVERY) == "Bearer two"
    assert await login.renew("Bearer two", 2 * RELOAD_EVERY)
    assert await login.authorization(2 * RELOAD_EVERY + 1) == "Bearer three"


async def test_a_plugin_that_fails_is_said_and_not_passed_over(tmp_path):
    """The library writes its failure to the log and goes on as nobody, whom the apiserver then refuses for another reason."""
    for script in ("echo no such account >&2; exit 1", "echo nonsense", says()):
        with pytest.raises(Rejected, match=r"exec plugin in the kubeconfig .* gave no credentials: run it by hand"):
            await loaded(tmp_path, a_plugin(tmp_path, script))


async def test_a_plugin_that_hangs_at_the_start_is_said(tmp_path, monkeypatch):
    """The operator does not wait for ever for somebody who logs in nowhere."""
    monkeypatch.setattr(kube_login, "PLUGIN_DEADLINE", 0.2)
    with pytest.raises(Rejected, match=r"gave no credentials within 0\.2 s: run it by hand"):
        await loaded(tmp_path, a_plugin(tmp_path, "exec sleep 1"))
    await plugins_ended()


async def test_a_401_renews_at_most_every_ten_seconds(tmp_path):
    """A token that is refused for good does not make a plugin run at each request."""
    user = a_plugin(tmp_path, f"echo run >> {tmp_path}/runs; " + says(token="same"))
    login = await loaded(tmp_path, user)
    header = await login.authorization(0)
    for now in (1.0, 2.0, 3.0):
        assert not await login.renew(header, now)
    assert len((tmp_path / "runs").read_text().splitlines()) == 2
    assert not await login.renew(header, 1.0 + RENEW_EVERY)
    assert len((tmp_path / "runs").read_text().splitlines()) == 3


async def test_many_401s_at_once_renew_once_and_all_get_the_new_token(tmp_path):
    """A burst of requests with an old token reads the file once; who came late finds it renewed already."""
    login = await loaded(tmp_path, {"token": "old"})
    a_kubeconfig(tmp_path / "kubeconfig", SERVER, {"token": "new"})
    assert await asyncio.gather(*(login.renew("Bearer old", 1.0) for _ in range(20))) == [True] * 20
    assert await login.authorization(1.0) == "Bearer new"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "a: b", "contexts: 7", "{clusters: [], users: [{name: u, user: {token: SECRET}}], contexts: []}"],
)
async def test_a_kubeconfig_that_is_none_is_one_sentence(tmp_path, text):
    """The loader's own words hold whole entries of the file: none of them is repeated."""
    (tmp_path / "kubeconfig").write_text(text)
    with pytest.raises(Rejected, match="cannot be used with its current context") as caught:
        await Login.load(str(tmp_path / "kubeconfig"))
    assert caught.value.reason == "KubeconfigInvalid"
    assert "SECRET" not in str(caught.value)
    assert caught.value.__suppress_context__


async def test_a_missing_kubeconfig_and_a_missing_context_are_named(tmp_path):
    """What to give instead."""
    with pytest.raises(Rejected, match=r"there is no kubeconfig at .*: give --kubeconfig or set KUBECONFIG"):
        await Login.load(str(tmp_path / "nowhere"))
    path = a_kubeconfig(tmp_path / "kubeconfig", SERVER, {"token": "t"})
    with pytest.raises(Rejected, match="with context other"):
        await Login.load(path, "other")


def test_the_users_own_kubeconfig_is_never_written(tmp_path):
    """A library that saves renewed tokens would change a file that is not ours."""
    path = a_kubeconfig(tmp_path / "kubeconfig", SERVER, a_plugin(tmp_path, says(token="t")))
    before = (tmp_path / "kubeconfig").read_bytes()
    asyncio.run(Login.load(path))
    assert (tmp_path / "kubeconfig").read_bytes() == before
    assert subprocess.run(["ls", tmp_path], capture_output=True, text=True, check=True).stdout.split() == [
        "kubeconfig",
        "plugin",
    ]


@pytest.mark.parametrize(
    ("server", "no_proxy", "proxied"),
    [
        ("https://api.example.com:6443", "", True),
        ("https://api.example.com:6443", "example.com", False),
        ("https://api.example.com:6443", ".example.com", False),
        ("https://api.example.com:6443", "api.example.com:6443", False),
        ("https://api.example.com:6443", "api.example.com:443", True),
        ("https://api.example.com:6443", "*", False),
        ("https://10.96.0.1:443", "10.0.0.0/8, .svc", False),
        ("https://10.96.0.1:443", "192.168.0.0/16", True),
        ("https://[fd00::1]:443", "fd00::/8", False),
        ("https://127.0.0.1:6443", "", False),
        ("https://[::1]:6443", "", False),
        ("https://localhost:6443", "", False),
        ("http://api.example.com", "", False),
    ],
)
async def test_the_proxy_of_the_environment_is_taken_as_go_takes_it(tmp_path, monkeypatch, server, no_proxy, proxied):
    """Clusters name their own services by networks in NO_PROXY: an operator that ignored them would never get through."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    login = await Login.load(a_kubeconfig(tmp_path / "kubeconfig", server, {"token": "t"}))
    assert login.proxy == ("http://proxy.example:3128" if proxied else None)


def test_a_pod_knows_its_namespace(tmp_path):
    """From the file beside its token; without it the message says what to mount."""
    (tmp_path / "namespace").write_text("keywright-system\n")
    assert own_namespace(tmp_path / "namespace") == "keywright-system"
    with pytest.raises(Rejected, match="mount the service account's token"):
        own_namespace(tmp_path / "none")


async def test_a_kubeconfig_is_not_the_pods_own_account(tmp_path):
    """So that nobody is elected by default outside of a cluster."""
    assert not (await loaded(tmp_path, {"token": "t"})).in_cluster
