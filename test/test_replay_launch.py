"""launch/replay.launch.py: which nodes it starts, with what, and what they leave; where launch is installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bag_files import camera_and_truth, write_bag
from made_weights import write_credulous_weights
from ros_tools import ROOT, ended_cleanly, finish, skip_without_launch, start_launch

from fcn_follow.lab.recordings.reading import open_bag


@pytest.mark.parametrize(
    ("record", "weights", "engine"),
    [("", "", "torch"), ("replayed", "mine.safetensors", "torch"), ("", "mine.onnx", "auto"), ("", "mine.xml", "auto")],
)
def test_the_real_launch_replays_with_recorder_and_engine_as_asked_for(record, weights, engine, tmp_path, monkeypatch):
    skip_without_launch()
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


def test_the_launch_replays_scores_records_and_ends(domain_id, tmp_path):
    skip_without_launch()
    write_bag(tmp_path / "bag", camera_and_truth(20))
    weights = write_credulous_weights(tmp_path / "w.safetensors")
    launch = start_launch(
        "replay", domain_id, tmp_path / "prefix", bag=tmp_path / "bag", weights=weights, record=tmp_path / "record",
        report=tmp_path / "report",
    )  # fmt: skip
    output = finish(launch, 180.0)
    assert launch.returncode == 0, output
    assert "played 20 frames, skipped 0" in output and "Traceback" not in output
    assert set(ended_cleanly(output)) == {"player", "segmenter", "scorer", "recorder"}
    live = json.loads((tmp_path / "report" / "live.json").read_text())
    assert live["frames"] + live["dropped"] == 20 and live["frames"] > 10
    with open_bag(tmp_path / "record") as bag:
        topics = {topic.name for topic in bag.topics}
    assert {"/image_raw", "/ground_truth/label_mask", "/segmentation/label_mask", "/hero/centroid", "/clock"} <= topics
