"""The drawings in docs/ are what their scripts draw."""

import matplotlib
import pytest
from draw_following import main as draw
from ros_tools import ROOT


def test_the_drawing_is_the_same_each_time(tmp_path):
    pictures = [tmp_path / "a.svg", tmp_path / "b.svg"]
    assert [draw([str(picture)]) for picture in pictures] == [0, 0]
    assert pictures[0].read_bytes() == pictures[1].read_bytes()
    assert b"set_points.distance_m" in pictures[0].read_bytes()
    assert draw([]) == 2


def test_the_drawing_of_the_page_is_that_of_the_parameters(tmp_path):
    drawn, committed = tmp_path / "following.svg", ROOT / "docs" / "images" / "following.svg"
    if f"Matplotlib v{matplotlib.__version__}," not in committed.read_text():
        pytest.skip("another version of matplotlib drew docs/images/following.svg")
    assert draw([str(drawn)]) == 0
    assert drawn.read_text() == committed.read_text(), "run: python docs/draw_following.py docs/images/following.svg"
