"""What a refused read of a target becomes: the port knows no log-in, and no read passes for an absence."""

from __future__ import annotations

import pytest
from tests.adapters.kube_wire import a_kubeconfig, a_status
from tests.adapters.wire_server import http

from keywright.adapters.kube import KubeApi
from keywright.adapters.kube_secret import SecretSink
from keywright.errors import Rejected, Unavailable


@pytest.mark.parametrize(("status", "kind"), [(401, Unavailable), (403, Rejected), (404, Unavailable)])
async def test_a_refused_read_is_one_of_the_ports_errors(wire, tmp_path, status, kind):
    """Else a delivery would end there, with its plaintext, where the next try may work."""
    api = await KubeApi.connect(a_kubeconfig(tmp_path / "kubeconfig", wire.url, {"token": "a-token"}))
    wire.answers(*[http(status, a_status("Whatever"))] * 2)
    with pytest.raises(kind) as caught:
        await SecretSink(api).read("search", "mistral-key")
    assert getattr(caught.value, "reason", "TargetRefused") == "TargetRefused"
    await api.close()
