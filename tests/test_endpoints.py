"""The listener of metrics by TLS: a certificate that is none, and one that is renewed."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from keywright.errors import Rejected
from keywright.wiring import endpoints as wiring
from keywright.wiring.endpoints import Endpoints

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def endpoints() -> AsyncIterator[Endpoints]:
    """Closed afterwards."""
    endpoints = Endpoints()
    yield endpoints
    await endpoints.close()


def mounted(certificate: Path, folder: Path) -> None:
    """As a Secret of type kubernetes.io/tls is mounted."""
    shutil.copy(certificate / "cert.pem", folder / "tls.crt")
    shutil.copy(certificate / "key.pem", folder / "tls.key")


async def shown(address: str) -> bytes:
    """The certificate that a connection gets to see."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    host, _, port = address.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=context)
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return bytes(found)


async def test_a_folder_without_a_certificate_is_refused(endpoints: Endpoints, tmp_path: Path):
    """In one sentence, that says what must be there."""
    for content in (None, "nothing"):
        if content is not None:
            (tmp_path / "tls.crt").write_text(content)
            (tmp_path / "tls.key").write_text(content)
        with pytest.raises(Rejected, match=r"it must hold tls\.crt and its tls\.key"):
            await endpoints.serve_metrics("127.0.0.1:0", CollectorRegistry(), certificate=tmp_path)


async def test_a_certificate_that_is_renewed_is_shown(
    endpoints: Endpoints, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """To connections from then on; while what stands there is none, the older one is."""
    monkeypatch.setattr(wiring, "_CERTIFICATE_AGAIN", 0.02)
    mounted(certificate, tmp_path)
    address = await endpoints.serve_metrics("127.0.0.1:0", CollectorRegistry(), certificate=tmp_path)
    first = await shown(address)
    (tmp_path / "tls.crt").write_text("half of it")
    await asyncio.sleep(0.1)
    assert await shown(address) == first
    process = await asyncio.create_subprocess_exec(
        *(
            "openssl",
            "req",
            "-x509",
            "-nodes",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-subj",
            "/CN=new",
        ),
        *("-keyout", str(tmp_path / "tls.key"), "-out", str(tmp_path / "tls.crt")),
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == 0
    async with asyncio.timeout(10):
        while await shown(address) == first:  # noqa: ASYNC110 -- nobody tells
            await asyncio.sleep(0.02)
