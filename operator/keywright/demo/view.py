"""How the board looks: a table of lives with what is happening below it, or plain lines for a pipe. Pure.

Made of rich's Text only: nothing that comes from outside is read as markup.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.text import Text

from keywright.demo.life import Life, Stage, span

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keywright.demo.board import Board, Line
    from keywright.keys import ResourceKey

__all__ = ["Glyphs", "plain", "render"]

_CELL: Final = 8
"""Characters of `✓ 12.3 s`."""
_EXACT: Final = 10.0
"""Seconds up to which hundredths are shown."""
_MARGIN: Final = 2
_WIDEST_GAP: Final = 5
_LONGEST_NAME: Final = 24
_FEWEST_LINES: Final = 3
_MOST_PARTS: Final = 3
"""Lines that one sentence may take."""
_FRAMES_PER_SECOND: Final = 8

_COLOURS: Final = {"refused": "red", "deleted": "red", "overlap": "yellow"}
"""Of the word that begins a line; green without an entry."""


@dataclass(frozen=True, slots=True)
class Glyphs:
    """What a terminal can show."""

    done: str
    open: str
    rule: str
    spinner: str

    @classmethod
    def of(cls, encoding: str) -> Glyphs:
        """For this encoding."""
        if encoding.lower().startswith("utf"):
            return cls("✓", "·", "─", "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
        return cls("+", ".", "-", "|/-\\")


def plain(line: Line) -> str:
    """One line, whole, without colours."""
    about = str(line.about) if line.about else "keywright"
    return f"{line.at:6.1f} s  {about:<12}  {line.saying.word:<9}  {line.saying.sentence}"


def render(board: Board, *, width: int, height: int, glyphs: Glyphs) -> Text:
    """The whole picture, no more than `height` lines of `width` characters where the table leaves room for that."""
    picture = _Picture(board.clock(), _names(board.lives), width, glyphs)
    head = [picture.title(), Text()]
    table = [picture.heading()]
    for key, life in board.lives.items():
        table += picture.rows(key, life)
    foot = [Text(line, style="" if number else "bold") for number, line in enumerate(board.foot)]
    if foot:
        foot.insert(0, Text())
    room = max(_FEWEST_LINES, height - len(head) - len(table) - len(foot) - 2)
    lines = [*head, *table, Text(), *picture.recent(board.lines, room), *foot]
    for line in lines:
        line.truncate(width, overflow="crop")
    return Text("\n").join(lines)


@dataclass(frozen=True, slots=True)
class _Picture:
    """One frame's measures."""

    now: float
    names: dict[ResourceKey, str]
    width: int
    glyphs: Glyphs

    @property
    def name_width(self) -> int:
        return max(map(len, self.names.values()), default=0)

    @property
    def gap(self) -> int:
        """Before each stage."""
        cells = sum(_width(stage) for stage in Stage)
        return min(_WIDEST_GAP, max(1, (self.width - _MARGIN - self.name_width - cells) // len(Stage)))

    @property
    def frame(self) -> str:
        """Of the spinner."""
        return self.glyphs.spinner[int(self.now * _FRAMES_PER_SECOND) % len(self.glyphs.spinner)]

    def title(self) -> Text:
        left, right = " keywright demo ", f" each stage in seconds since it was asked for; {span(self.now)} in all "
        rule = self.glyphs.rule
        between = rule * max(0, self.width - len(left) - len(right) - 4)
        return Text.assemble((rule * 2, "dim"), (left, "bold"), (f"{between}{right}{rule * 2}", "dim"))

    def heading(self) -> Text:
        text = Text(" " * (_MARGIN + self.name_width), style="dim")
        for stage in Stage:
            text.append(" " * self.gap + f"{stage.value:<{_width(stage)}}")
        return text

    def rows(self, key: ResourceKey, life: Life) -> list[Text]:
        """The stages, and below them where the key is now."""
        row = Text(" " * _MARGIN)
        row.append(f"{self.names[key]:<{self.name_width}}", style="dim" if life.over else "bold")
        for stage in Stage:
            glyph, words, style = self._cell(life, stage)
            row.append(" " * self.gap)
            row.append(glyph, style=style)
            row.append(f"{f' {words}' if words else '':<{_width(stage) - 1}}", style="dim" if life.over else "")
        detail = Text(" " * (_MARGIN + self.name_width + self.gap)).append_text(_detail(life))
        detail.truncate(self.width - 1, overflow="ellipsis")
        return [row, detail]

    def recent(self, lines: list[Line], room: int) -> list[Text]:
        """The last lines that fit, oldest first; a long sentence goes on below itself."""
        blocks: list[list[Text]] = []
        for line in reversed(lines[-room:]):
            block = self._told(line)
            if sum(map(len, blocks)) + len(block) > room:
                break
            blocks.append(block)
        return [text for block in reversed(blocks) for text in block]

    def _cell(self, life: Life, stage: Stage) -> tuple[str, str, str]:
        """A glyph, words, and the glyph's style."""
        if stage in life.reached:
            took = life.reached[stage]
            words = "" if stage is Stage.REQUESTED else f"{took:.2f} s" if took < _EXACT else f"{took:.1f} s"
            return self.glyphs.done, words, "green" if life.over else "bold green"
        if stage is Stage.REFUSED and (left := life.overlap_left) is not None:
            waited_for = life.goal in (Stage.REFUSED, Stage.DELETED)
            return self.frame if waited_for else self.glyphs.open, f"in {span(left)}", "bold yellow"
        if stage is life.under_way:
            return self.frame, "", "bold cyan"
        return self.glyphs.open, "", "dim"

    def _told(self, line: Line) -> list[Text]:
        saying = line.saying
        name = self.names.get(line.about, "") if line.about else ""
        command = saying.word == "$"
        text = Text.assemble(
            (f"{line.at:6.1f} s  ", "dim"), (f"{name:<{self.name_width}}  ", "dim" if command else "bold")
        )
        if command:
            text.append("$ ", style="dim")
        else:
            colour = "yellow" if saying.trouble else _COLOURS.get(saying.word, "green")
            text.append(f"{saying.word:<9}  ", style=colour)
        indent = text.cell_len
        style = "dim" if command else "yellow" if saying.trouble else ""
        first, *more = _wrapped(saying.sentence, max(20, self.width - indent - 1))[:_MOST_PARTS]
        return [text.append(first, style=style), *(Text(" " * indent + part, style=style) for part in more)]


def _names(keys: Iterable[ResourceKey]) -> dict[ResourceKey, str]:
    """Without the namespace where all have the same."""
    known = list(keys)
    alone = len({key.namespace for key in known}) == 1
    names = {key: key.name if alone else str(key) for key in known}
    return {key: name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}~" for key, name in names.items()}


def _width(stage: Stage) -> int:
    return max(_CELL, len(stage.value))


def _detail(life: Life) -> Text:
    """Where the key is now, in a line."""
    if life.over:
        return Text("gone: no key, no Secret, no ApiKey" if Stage.DELETED in life.reached else "gone", style="dim")
    stalled = life.standing is not None and life.standing.stalled
    if life.current is None or life.delivered is None:
        return Text(_waiting(life), style="yellow" if stalled else "dim")
    text = Text.assemble((life.current.masked, "cyan"), (f" in {life.delivered.place}", "dim"))
    if life.retained:
        return text.append(", left to live without an ApiKey", style="dim")
    if life.standing is not None and stalled:
        return text.append(f"; {life.standing.reason}: {life.standing.message}", style="yellow")
    if life.overlap_left is not None:
        return text.append(", beside the old ", style="dim").append(life.older[-1].masked, style="yellow")
    ends = f", works until {life.delivered.expires_on}" if life.delivered.expires_on else ", never expires"
    return text.append(ends, style="dim")


def _waiting(life: Life) -> str:
    if life.standing is None:
        return "being requested" if life.goal else "not requested yet"
    if life.current is not None:
        return f"the Secret with {life.current.masked} is gone"
    return f"{life.standing.reason}: {life.standing.message}" if life.standing.reason else "waiting for the operator"


def _wrapped(sentence: str, width: int) -> list[str]:
    parts = [""]
    for word in sentence.split():
        if parts[-1] and len(parts[-1]) + 1 + len(word) > width:
            parts.append("")
        parts[-1] = f"{parts[-1]} {word}".lstrip()
    return parts
