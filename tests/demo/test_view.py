"""The picture, measured: it fits, it says what is so, and it believes nobody's markup."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from tests.demo.lives import SEARCH, a_board, a_delivery, a_proved_life, a_standing

from keywright.demo.board import Board, Line
from keywright.demo.life import Saying, Stage
from keywright.demo.view import Glyphs, plain, render
from keywright.keys import ResourceKey

UTF8 = Glyphs.of("utf-8")


def a_busy_board() -> Board:
    """A proved key, one that stalls, and more lines than there is room for."""
    board = a_board()
    board.lives[SEARCH] = a_proved_life()
    stalled = board.life(ResourceKey("shop", "billing"))
    board.say(
        ResourceKey("shop", "billing"),
        stalled.stands(
            a_standing(ready=False, key_id=None, stalled=True, reason="WorkspaceNotFound", message="long words " * 40),
            2.0,
        ),
    )
    for number in range(40):
        board.say(SEARCH, [Saying("proved", f"line {number} [bold]no markup[/bold]")])
    return board


@pytest.mark.parametrize(("width", "height"), [(80, 24), (140, 40), (100, 60)])
def test_the_picture_fits_its_terminal(width: int, height: int):
    """Not a line too wide, not a line too many, and the last thing said is seen."""
    board = a_busy_board()
    board.foot = ("Look around:", "  kubectl get ak")
    lines = render(board, width=width, height=height, glyphs=UTF8).plain.split("\n")
    assert max(map(cell_len, lines)) <= width
    assert len(lines) <= height
    assert any("line 39 [bold]no markup[/bold]" in line for line in lines)
    assert lines[-1] == "  kubectl get ak"


def test_all_stages_have_a_column_above_their_ticks():
    """A narrow terminal loses none."""
    lines = render(a_busy_board(), width=80, height=24, glyphs=UTF8).plain.split("\n")
    heading, row = lines[2], next(line for line in lines if line.startswith("  search"))
    for stage in (Stage.REQUESTED, Stage.ISSUED, Stage.PROVED):
        assert row[heading.index(stage.value)] == "✓"
    assert row[heading.index(Stage.DELETED.value)] == "·"


def test_an_overlap_is_counted_down():
    """In the column of what comes after it."""
    board = a_board()
    life = board.lives[SEARCH] = a_proved_life()
    life.stands(a_standing(key_id="k2", previous={"k1": 7.2}), 5.0)
    life.holds(a_delivery("k2", "Bbbb...bbbb"), 5.0)
    text = render(board, width=80, height=24, glyphs=UTF8).plain
    assert "in 7 s" in text
    assert "Bbbb...bbbb in Secret search-key, beside the old Aaaa...aaaa" in text


def test_a_terminal_without_utf8_gets_ascii():
    """Whatever the state."""
    assert render(a_busy_board(), width=80, height=24, glyphs=Glyphs.of("ascii")).plain.replace("…", "").isascii()


def test_names_of_several_namespaces_are_told_apart():
    """The namespace is left out only where it is the same for all."""
    board = a_board()
    board.life(SEARCH)
    assert "shop/" not in render(board, width=80, height=24, glyphs=UTF8).plain
    board.life(ResourceKey("lab", "search"))
    text = render(board, width=80, height=24, glyphs=UTF8).plain
    assert "shop/search" in text
    assert "lab/search" in text


def test_a_plain_line_says_when_who_and_what():
    """One line for a pipe."""
    line = Line(3.14, SEARCH, Saying("issued", "Aaaa...aaaa, never expires"))
    assert plain(line) == "   3.1 s  shop/search   issued     Aaaa...aaaa, never expires"
    assert plain(Line(0.0, None, Saying("plane", "is up"))).split() == ["0.0", "s", "keywright", "plane", "is", "up"]


def test_a_key_of_the_same_name_begins_a_new_life():
    """Deleted and created again, it starts over on the board."""
    board = a_board()
    first = board.life(SEARCH)
    first.stands(a_standing(), 1.0)
    assert board.life(SEARCH) is first
    first.stands(None, 2.0)
    assert board.life(SEARCH) is not first
