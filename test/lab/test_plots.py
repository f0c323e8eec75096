"""Plots are written whole, and a folder that cannot be written is reported in one line."""

import cv2
import pytest
from matplotlib.figure import Figure

from fcn_follow.errors import UserError
from fcn_follow.lab.plots import write_png


def test_a_plot_and_the_folder_above_it(tmp_path):
    write_png(tmp_path / "new" / "plot.png", Figure(figsize=(4, 2)))
    assert cv2.imread(str(tmp_path / "new" / "plot.png")).shape == (220, 440, 3)


def test_a_folder_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"plot\.png: cannot be written: "):
        write_png(tmp_path / "file" / "plot.png", Figure())
