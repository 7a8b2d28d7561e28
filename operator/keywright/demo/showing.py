"""One showing from beginning to end: folder, processes, story, and the end however it comes.

Neighbour: keywright.cli.demo, which parses and gives the console.
"""

from __future__ import annotations

import asyncio
import shlex
import signal
import sys
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.live import Live
from rich.text import Text

from keywright.adapters.kube import KubeApi
from keywright.demo import cluster
from keywright.demo.board import Board, Line
from keywright.demo.folder import Folder
from keywright.demo.follower import Follower
from keywright.demo.life import Saying
from keywright.demo.plane import Plane
from keywright.demo.story import NAMESPACE, Story
from keywright.demo.vault import DemoVault
from keywright.demo.view import Glyphs, plain, render
from keywright.devcluster import shown
from keywright.errors import KeywrightError
from keywright.keys import SecretValue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path
    from types import FrameType

    from rich.console import Console

__all__ = ["Showing"]

_BEAT: Final = 2.0
"""Seconds between two acts on a terminal."""
_REPAINT: Final = 0.1
_INTERRUPTED: Final = 128 + signal.SIGINT
"""As shells have it."""
_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)


@dataclass(slots=True)
class Showing:
    """`once`: all lives to their end and no staying. `with_vault`: one key goes into Vault.

    `stays`: the story is over, and people look around.
    """

    console: Console
    once: bool
    with_vault: bool = False
    stays: bool = False

    def run(self, directory: Path | None) -> int:
        """Returns the exit code; raises KeywrightError with what went wrong, after everything was ended."""
        with _signals_end_it():
            try:
                with Folder.claim(directory) as folder:
                    try:
                        self._in(folder, kept=directory is not None)
                    finally:
                        _ignore_signals()
                        with suppress(OSError):  # The terminal may be what has gone.
                            self._print("Ending and removing everything...")
            except KeyboardInterrupt:
                return self._ended(_INTERRUPTED)
            except SystemExit as ended:
                return self._ended(int(ended.code or 0))
        self._print(
            "All seen to the end, and nothing is left. To look around yourself: keywright demo, without --once."
        )
        return 0

    def _ended(self, code: int) -> int:
        """Ctrl-C is how the demo that stays up ends; in the midst of it, it is an interruption."""
        with suppress(OSError):
            self._print("Done: nothing is left." if self.stays else "Interrupted: nothing is left.")
        return 0 if self.stays else code

    def _in(self, folder: Folder, *, kept: bool) -> None:
        plane = Plane(folder)
        began = time.monotonic()
        board = Board(clock=lambda: time.monotonic() - began, tell=self._tell)
        try:
            self._ready(board, "start", "control plane, sandbox issuer, operator: all on this machine")
            with shown(self.console) as report:
                plane.up(NAMESPACE, report, with_vault=self.with_vault)
            asyncio.run(self._perform(folder, plane, board))
        except KeywrightError:
            folder.keeps_logs = kept
            self._show_log(folder, plane)
            raise

    async def _perform(self, folder: Folder, plane: Plane, board: Board) -> None:
        self._ready(board, "plane", f"{plane.cluster.server} (etcd, apiserver, controllers)")
        url, admin_key = await plane.sandbox()
        self._ready(board, "sandbox", f"{url} plays the platform: open it to watch")
        opens = f"cat {shlex.quote(str(plane.admin_key_file))}"
        self._ready(board, "sign in", opens)
        vault = None
        if plane.cluster.vault_address and plane.cluster.vault_token:
            vault = DemoVault(plane.cluster.vault_address, SecretValue(plane.cluster.vault_token))
            self._ready(board, "vault", f"{vault.address} (KV version 2 at secret/, kubernetes auth)")
        async with (
            await KubeApi.connect(str(folder.kubeconfig)) as api,
            Follower(api, url, board, plane.check, vault) as follower,
        ):
            await cluster.install(api)
            await plane.start_operator(api)
            self._ready(board, "operator", "runs with the rights of manifests/ and no others")
            story = Story(api, board, follower, beat=_BEAT if self._live else 0.0, vault=vault)
            self._ready(board, "issuer", await story.set_up_issuer(url, admin_key))
            board.foot = (f"Watch the keys at {url}, where the admin key signs in:", f"  {opens}")
            async with self._painted(board):
                await story.tell(whole=self.once)
                if not self.once:
                    await self._stay(folder, board, follower)

    async def _stay(self, folder: Folder, board: Board, follower: Follower) -> None:
        """Everything goes on, and so does the view, until a signal comes."""
        board.foot = (
            "Everything stays up until Ctrl-C. Look around in another terminal:",
            f"  export KUBECONFIG={shlex.quote(str(folder.kubeconfig))}",
            "  kubectl get ak",
            "  kubectl describe ak search",
            "  kubectl annotate --overwrite ak search keywright.dev/rotate=$(date +%s)",
            "  kubectl delete secret billing-key    # it comes back, with a new key",
            *board.foot,
        )
        self.stays = True
        if not self._live:
            for line in board.foot:
                self._print(line)
        await follower.forever()

    @property
    def _live(self) -> bool:
        return self.console.is_terminal and not self.console.is_dumb_terminal

    @asynccontextmanager
    async def _painted(self, board: Board) -> AsyncIterator[None]:
        """The live picture around the block; its last state stays on the screen."""
        if not self._live:
            yield
            return
        glyphs = Glyphs.of(self.console.encoding)
        self.console.print()

        def picture() -> Text:
            return render(board, width=self.console.width, height=self.console.height, glyphs=glyphs)

        with Live(picture(), console=self.console, auto_refresh=False, redirect_stderr=False) as live:

            async def paint() -> None:
                while True:
                    live.update(picture(), refresh=True)
                    await asyncio.sleep(_REPAINT)

            painter = asyncio.create_task(paint(), name="painter")
            try:
                yield
            finally:
                painter.cancel()
                board.foot = ()  # What it invites to is over.
                live.update(picture(), refresh=True)

    def _ready(self, board: Board, part: str, sentence: str) -> None:
        line = Line(board.clock(), None, Saying(part, sentence))
        if not self._live:
            self._tell(line)
            return
        text = Text.assemble((f"{line.at:6.1f} s  ", "dim"), (f"{part:<9}  ", "bold green"), sentence)
        text.truncate(self.console.width, overflow="ellipsis")
        self.console.print(text)

    def _tell(self, line: Line) -> None:
        """To a pipe, at once; on a terminal the picture shows it."""
        if not self._live:
            self._print(plain(line))

    def _print(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)
        self.console.file.flush()

    def _show_log(self, folder: Folder, plane: Plane) -> None:
        """What the operator said last, since its log may go with the folder."""
        for component in ("operator", "sandbox"):
            if lines := plane.last_lines(component):
                where = f"; all of it: {folder.log(component)}" if folder.keeps_logs else " (--dir DIR keeps all of it)"
                print(f"The {component}'s last lines{where}", *lines, sep="\n  ", file=sys.stderr)  # noqa: T201 - what the command shows
                return


@contextmanager
def _signals_end_it() -> Iterator[None]:
    """SIGTERM and a closed terminal end it as Ctrl-C does; Ctrl-C works even where a shell in the background ignores it."""

    def leave(number: int, _: FrameType | None) -> None:
        sys.exit(128 + number)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *_ENDING)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in _ENDING:
        if before[number] is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignore_signals() -> None:
    """A second Ctrl-C must not interrupt the cleaning."""
    for number in (signal.SIGINT, *_ENDING):
        signal.signal(number, signal.SIG_IGN)
