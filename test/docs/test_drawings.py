"""The drawings in docs/ are what their scripts draw."""

from draw_following import main as draw


def test_the_drawing_is_the_same_each_time(tmp_path):
    pictures = [tmp_path / "a.svg", tmp_path / "b.svg"]
    assert [draw([str(picture)]) for picture in pictures] == [0, 0]
    assert pictures[0].read_bytes() == pictures[1].read_bytes()
    assert b"set_points.distance_m" in pictures[0].read_bytes()
    assert draw([]) == 2
