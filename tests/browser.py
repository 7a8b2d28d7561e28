"""Debian's Chromium without a window, spoken to over its DevTools protocol; pages as a person uses them.

Clicks and keys are the browser's own input events at the place where the thing is on the screen: what is covered,
hidden or out of order does not react. What a page says in its console or breaks of its policy is kept in `complaints`.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import re
import shutil
import subprocess
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
from tests.running import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from pathlib import Path

__all__ = ["Chromium", "Tab", "a_tab", "chromium_path"]

PATIENCE = 60.0
"""Seconds that something on a page has to come true."""

_ENDPOINT = re.compile(r"DevTools listening on (ws://\S+)")
_KEYS = {"Tab": ("Tab", 9, ""), "Enter": ("Enter", 13, "\r"), "Escape": ("Escape", 27, ""), "Space": (" ", 32, " ")}


def chromium_path() -> str | None:
    """Where Chromium is, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Chromium:
    """One process; each tab has cookies of its own."""

    def __init__(self, executable: str, folder: Path) -> None:
        """`folder` holds its profile and its log."""
        self._log = folder / "chromium.log"
        command = [
            executable,
            "--headless",
            "--remote-debugging-port=0",
            f"--user-data-dir={folder / 'profile'}",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-dev-shm-usage",
            "--disable-extensions",
            "--disable-gpu",
            "--hide-scrollbars",
            # Its own sandbox cannot be had as root; the only pages it meets are keywright's.
            *(["--no-sandbox"] if os.getuid() == 0 else []),
            "about:blank",
        ]
        with self._log.open("wb") as said:
            self._process = subprocess.Popen(command, stdout=said, stderr=said)
        self.endpoint = wait_for(self._listens, "Chromium listens")

    def _listens(self) -> str | None:
        said = self._log.read_text(errors="replace")
        assert self._process.poll() is None, f"Chromium ended: {said[-2000:]}"
        found = _ENDPOINT.search(said)
        return found[1] if found else None

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class _Wire:
    """Questions and answers over one web socket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.events: list[dict[str, Any]] = []

    async def listen(self) -> None:
        """Until the socket closes."""
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" not in said:
                self.events.append(said)
                continue
            answer = self._asked.pop(said["id"])
            if not answer.done():
                answer.set_result(said)

    async def ask(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """One command; RuntimeError where the browser refuses it."""
        number = next(self._numbers)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        asked = {"id": number, "method": method, "params": parameters}
        await self._socket.send_json(asked if session is None else {**asked, "sessionId": session})
        said = await asyncio.wait_for(answer, PATIENCE)
        if "error" in said:
            raise RuntimeError(f"{method}: {said['error']['message']}")
        return said["result"]


class Tab:
    """One page on the screen."""

    def __init__(self, wire: _Wire, session: str) -> None:
        self._wire, self._session = wire, session

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command of the protocol, about this tab."""
        return await self._wire.ask(method, self._session, **parameters)

    @property
    def complaints(self) -> list[str]:
        """Errors of scripts and breaches of the policy; refused requests are the server's to say."""
        said = []
        for event in self._wire.events:
            entry = event["params"].get("entry", {})
            if event["method"] == "Runtime.exceptionThrown":
                said.append(json.dumps(event["params"]["exceptionDetails"]))
            elif event["method"] == "Log.entryAdded" and entry["source"] != "network":
                said.append(entry["text"])
        return said

    async def value(self, expression: str) -> Any:
        """What an expression is in the page; promises are waited for."""
        done = await self.ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in done:
            raise RuntimeError(f"{expression[:200]}: {done['exceptionDetails']['exception'].get('description')}")
        return done["result"].get("value")

    async def until(self, expression: str, *, seconds: float = PATIENCE) -> Any:
        """Wait for an expression to be true, or an element; pages may come and go meanwhile."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                answer = await self.value(f"(found => found instanceof Node || found)({expression})")
            except RuntimeError as error:  # between two pages there is none, and its elements are not there yet
                answer, why = None, str(error)
            else:
                why = repr(answer)
            if answer:
                return answer
            assert time.monotonic() < deadline, f"never true: {expression}; last: {why}; shows: {await self.text()!r}"
            await asyncio.sleep(0.05)

    async def open(self, address: str) -> None:
        """Type an address."""
        await self._leaving(self.ask("Page.navigate", url=address))

    async def reload(self) -> None:
        """Press F5."""
        await self._leaving(self.ask("Page.reload"))

    async def travel(self, steps: int) -> None:
        """Back and forward in the tab's history, as its buttons do."""
        history = await self.ask("Page.getNavigationHistory")
        place = history["currentIndex"] + steps
        await self.ask("Page.navigateToHistoryEntry", entryId=history["entries"][place]["id"])
        # A page that the browser has kept comes back as it was: _leaving would take it for the one before.
        deadline = time.monotonic() + PATIENCE
        while await self._place() != place:
            assert time.monotonic() < deadline, f"it does not come to {history['entries'][place]['url']}"
            await asyncio.sleep(0.05)
        await self.until("document.readyState === 'complete'")

    async def _place(self) -> int | None:
        """Where it is in its history; None between two pages."""
        try:
            return (await self.ask("Page.getNavigationHistory"))["currentIndex"]
        except RuntimeError:
            return None

    async def click(self, element: str, *, leaves: bool = False) -> None:
        """Click on the element that an expression gives. `leaves`: and wait for the page it leads to."""
        clicks = self.click_at(*await self.middle_of(element))
        await (self._leaving(clicks) if leaves else clicks)

    async def middle_of(self, element: str) -> tuple[float, float]:
        """Where to click; waits until the element is there, uncovered and in order."""
        await self.until(f"document.readyState === 'complete' && ({element})")
        x, y = await self.until(
            f"(() => {{ const it = {element}; it.scrollIntoView({{block: 'center'}}); const box = it.getBoundingClientRect();"
            " const [x, y] = [box.x + box.width / 2, box.y + box.height / 2]; const at = document.elementFromPoint(x, y);"
            " return it.contains(at) && !it.disabled ? [x, y] : null; })()"
        )
        return x, y

    async def click_at(self, x: float, y: float) -> None:
        """Press and release the mouse's button there."""
        for kind in ("mousePressed", "mouseReleased"):
            await self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def event(self, method: str) -> dict[str, Any]:
        """Wait for an event of the protocol; the first of its kind."""
        deadline = time.monotonic() + PATIENCE
        while True:
            for event in self._wire.events:
                if event["method"] == method:
                    return event["params"]
            assert time.monotonic() < deadline, f"no {method}"
            await asyncio.sleep(0.05)

    async def type(self, text: str) -> None:
        """Into what has the focus."""
        await self.ask("Input.insertText", text=text)

    async def press(self, name: str, *, shift: bool = False, leaves: bool = False) -> None:
        """Press a key. `leaves`: and wait for the page it leads to."""
        presses = self._press(name, shift=shift)
        await (self._leaving(presses) if leaves else presses)

    async def _press(self, name: str, *, shift: bool) -> None:
        key, code, text = _KEYS[name]
        for kind in ("keyDown", "keyUp"):
            await self.ask(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=name,
                windowsVirtualKeyCode=code,
                text=text if kind == "keyDown" else "",
                modifiers=8 if shift else 0,
            )

    async def text(self) -> str:
        """What a person reads on the page."""
        return await self.value("document.body ? document.body.innerText : ''")

    async def html(self) -> str:
        """The whole page as it is now."""
        return await self.value("document.documentElement.outerHTML")

    async def looks(self, *, width: int = 1280, height: int = 800, dark: bool = False) -> None:
        """The size of the screen and the colours that its owner prefers; narrow ones are phones."""
        phone = width < 600
        await self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone
        )
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.ask("Emulation.setEmulatedMedia", features=scheme)

    async def screenshot(self) -> bytes:
        """What is on the screen, as a PNG."""
        shot = await self.ask("Page.captureScreenshot", format="png")
        return base64.b64decode(shot["data"])

    async def _leaving(self, acting: Coroutine[Any, Any, Any]) -> None:
        """Act, and wait until another page is loaded."""
        await self.value("window.left = true")
        await acting
        await self.until("!window.left && document.readyState === 'complete'")


@asynccontextmanager
async def a_tab(chromium: Chromium, *, scripts: bool = True) -> AsyncIterator[Tab]:
    """A tab with nothing in its history and no cookie. `scripts`: whether its pages may run any."""
    async with aiohttp.ClientSession() as http, http.ws_connect(chromium.endpoint, max_msg_size=0) as socket:
        wire = _Wire(socket)
        listening = asyncio.create_task(wire.listen())
        context = (await wire.ask("Target.createBrowserContext"))["browserContextId"]
        target = await wire.ask("Target.createTarget", url="about:blank", browserContextId=context)
        attached = await wire.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        tab = Tab(wire, attached["sessionId"])
        for domain in ("Page", "Runtime", "Log", "Network"):
            await tab.ask(f"{domain}.enable")
        # So that it has the focus, as the only window of its owner has.
        await tab.ask("Emulation.setFocusEmulationEnabled", enabled=True)
        await tab.looks()
        if not scripts:
            await tab.ask("Emulation.setScriptExecutionDisabled", value=True)
        await wire.ask(
            "Browser.grantPermissions",
            browserContextId=context,
            permissions=["clipboardReadWrite", "clipboardSanitizedWrite"],
        )
        try:
            yield tab
        finally:
            await wire.ask("Target.disposeBrowserContext", browserContextId=context)
            await socket.close()
            await listening
