"""launch/replay.launch.py, loaded by the real launch where it is: which nodes it starts, and with what."""

from __future__ import annotations

from pathlib import Path

import pytest
from ros_tools import ROOT


@pytest.mark.parametrize(
    ("record", "weights", "engine"),
    [("", "", "torch"), ("replayed", "mine.safetensors", "torch"), ("", "mine.onnx", "auto"), ("", "mine.xml", "auto")],
)
def test_the_real_launch_replays_with_recorder_and_engine_as_asked_for(record, weights, engine, tmp_path, monkeypatch):
    for module in ("launch", "launch_ros"):
        pytest.importorskip(module, reason="launch and launch_ros come with a ROS install")
    import launch
    from launch.launch_description_sources import get_launch_description_from_python_launch_file
    from launch_ros.actions import Node

    given = {}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Node, "__init__", lambda self, **options: given.update({options["name"]: options}))
    description = get_launch_description_from_python_launch_file(str(ROOT / "launch" / "replay.launch.py"))
    context = launch.LaunchContext()
    context.launch_configurations.update({"bag": "flight", "record": record, "weights": weights})
    for entity in description.entities:
        if isinstance(entity, launch.actions.DeclareLaunchArgument):
            entity.execute(context)
    (function,) = (e for e in description.entities if isinstance(e, launch.actions.OpaqueFunction))
    function.execute(context)

    assert set(given) == {"player", "segmenter", "scorer"} | ({"recorder"} if record else set())
    player = given["player"]["parameters"][-1]
    assert Path(player["source"].value) == tmp_path / "flight"
    assert player["wait_for_subscribers"] == (2 if record else 1)
    segmenter = given["segmenter"]["parameters"][-1]
    assert segmenter["reliability"] == "reliable"
    assert segmenter["engine"].value == engine
    assert segmenter["weights"].value == (str(tmp_path / weights) if weights else "")
    assert [name for name, node in given.items() if node["parameters"][1]["use_sim_time"]] == ["scorer", "segmenter"]
