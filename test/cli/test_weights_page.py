"""weights/README.md is what `fcn-follow weights-page` prints, and names every weights file."""

from __future__ import annotations

from command_line import invoke
from ros_tools import ROOT

PAGE = (ROOT / "weights" / "README.md").read_text()


def test_the_page_on_disk_is_what_the_command_prints():
    assert invoke("weights-page") == (PAGE, "")


def test_every_weights_file_has_its_section():
    headings = [line.removeprefix("## ") for line in PAGE.splitlines() if line.startswith("## ")]
    assert headings == sorted(path.stem for path in (ROOT / "weights").glob("*.safetensors"))


def test_what_the_page_links_to_is_there():
    for target in PAGE.split("](")[1:]:
        assert (ROOT / "weights" / target.partition(")")[0]).is_file()
