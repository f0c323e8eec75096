"""scripts/follow's runner as a process: a whole flight with its recording, and how it ends when things go wrong."""

from __future__ import annotations

import csv
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import cv2
import pytest
from command_line import fcn_follow
from drawn_frames import write_calibration, write_frames, write_weights
from mavlink_vehicle import Vehicle, free_port
from ros_tools import (
    LOOPBACK,
    REAL_FRAMES,
    ROOT,
    children,
    finish,
    interrupt,
    is_alive,
    loads_pytorch,
    start,
    udp_addresses,
    wait_until,
)
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from fcn_follow.geometry import CameraIntrinsics
from fcn_follow.nodes.support.frame_record import COLUMNS

WEIGHTS = ROOT / "weights" / "hero_net.safetensors"


def start_runner(domain_id: int, out: Path, *arguments: object, engine: str = "torch"):
    """With an engine by its name: to measure all takes seconds at each start."""
    if engine:
        arguments = (*arguments, "--engine", engine)
    command = [sys.executable, "-m", "fcn_follow", "run", "--out", out, *arguments]
    return start([str(part) for part in command], domain_id)


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "flight.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    return rows


def video_size_and_length(out: Path) -> tuple[tuple[int, int], int]:
    capture = cv2.VideoCapture(str(out / "flight.mp4"))
    frames, shape = 0, (0, 0)
    while True:
        there, picture = capture.read()
        if not there:
            return shape, frames
        shape, frames = picture.shape[:2], frames + 1


def test_a_flight_leaves_a_csv_a_video_and_the_iou(domain_id, tmp_path):
    frames = write_frames(tmp_path / "run", 45)
    weights = write_weights(tmp_path / "everywhere.safetensors", hero_everywhere=True)
    out = tmp_path / "out"
    calibration = write_calibration(tmp_path / "camera.yaml", CameraIntrinsics(160, 120, 300.0, 300.0, 79.5, 59.5))
    given = ("--source", frames, "--calibration", calibration, "--rate", "10", "--weights", weights)
    runner = start_runner(domain_id, out, *given, engine="")
    output = finish(runner)
    assert runner.returncode == 0, output
    assert "Traceback" not in output
    rows = rows_of(out)
    assert 30 <= len(rows) <= 45
    stamps = [float(row["stamp_s"]) for row in rows]
    assert stamps == sorted(stamps)
    full = [row for row in rows if row["hero_iou"]]
    assert len(full) > 10
    for row in full:
        # Every pixel is taken for the hero, whose box has 40 x 20 of 120 x 160 pixels.
        assert float(row["hero_iou"]) == pytest.approx(800 / 19200, abs=1e-4)
        assert (float(row["hero_x_px"]), float(row["hero_y_px"]), float(row["hero_area_px"])) == (79.5, 59.5, 19200)
        assert float(row["position_z_m"]) == pytest.approx(0.5 * 300 / 160)  # by the width and the calibration
        assert float(row["age_ms"]) > 0
    states = Counter((row["state"], row["reason"]) for row in rows)
    assert any(state == "tracking" for state, _ in states), states
    assert any(row["reason"].startswith("hero seen") and row["wanted_forward_m_s"] for row in rows)
    assert "0.042 over all pixels; 0.042 mean" in output
    assert "zero" in output.split("last command")[1].splitlines()[0]
    shape, length = video_size_and_length(out)
    assert shape == (480 + 44, 640)
    assert length == len(rows)
    assert sorted(path.name for path in out.iterdir()) == ["flight.csv", "flight.mp4"]


def test_ctrl_c_ends_a_flight_as_it_should(domain_id, tmp_path):
    frames = write_frames(tmp_path / "run", 5, masks=False)
    weights = write_weights(tmp_path / "nowhere.safetensors")
    out = tmp_path / "out"
    given = ("--source", frames, "--rate", "10", "--loop", "--fov", "80", "--weights", weights)
    runner = start_runner(domain_id, out, *given)
    printed = listen(runner, "label masks")
    time.sleep(0.5)
    output = "".join(printed) + interrupt(runner)
    assert runner.returncode == 0, output
    assert output.count("the camera is not known: an angle of view of 80 degrees is assumed") == 1
    assert "Traceback" not in output
    assert all(row["hero_area_px"] in ("", "0.0000") for row in rows_of(out))
    assert video_size_and_length(out)[1] > 3


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["--source", "{tmp}/nowhere"], 1, "there is no such folder, zip, video or"),
        (["--params", "{tmp}/nowhere.yaml"], 1, "nowhere.yaml: there is no such parameter file"),
        (["--params", "{tmp}/folower.yaml"], 1, "there is no node 'folower'; did you mean follower?"),
        (["--source", "{tmp}/run", "--scenario", "crowd"], 1, "--scenario belongs to the simulator"),
        (["--source", "{tmp}/run", "--vehicle", "odom"], 1, "--vehicle belongs to the simulator"),
        (["--vehicle", "internal"], 2, "'internal'; it must be one of mavlink, odom"),
        (["--params", "{tmp}/mavlink.yaml"], 1, "the simulator needs output cmd_vel"),
        (["--calibration", "{tmp}/camera.yaml"], 1, "--calibration and --fov describe the camera of a --source"),
        (["--fov", "80"], 1, "--calibration and --fov describe the camera of a --source"),
        (
            ["--source", "{tmp}/run", "--calibration", "{tmp}/folower.yaml"],
            1,
            "folower.yaml: not a camera's calibration; it must have image_width, image_height and camera_matrix",
        ),
        (["--scenario", "stright"], 1, "there is no scenario 'stright'; did you mean straight?"),
        (["--hero", "{tmp}/nobody.json"], 1, "nobody.json: there is no such file; to point at the hero"),
        (["--hero", "{tmp}/folower.yaml"], 1, "folower.yaml: the hero's appearance cannot be read: it is no JSON"),
        (["--pointed", "--hero", "{tmp}"], 1, "the hero's appearance cannot be read: Is a directory"),
        (["--rate", "-3"], 2, "--rate: -3: it must be 0 to 1000 Hz"),
        (["--spead", "3"], 2, "No such option: --spead"),
    ],
)
def test_a_mistake_is_one_line_and_a_non_zero_exit(tmp_path, arguments, code, expected):
    (tmp_path / "folower.yaml").write_text("drone1: {folower: {ros__parameters: {limits: {speed_m_s: 1.0}}}}")
    (tmp_path / "mavlink.yaml").write_text("/**/follower: {ros__parameters: {output: mavlink}}")
    write_frames(tmp_path / "run", 1)
    done = fcn_follow("run", "--out", tmp_path / "out", *(each.replace("{tmp}", str(tmp_path)) for each in arguments))
    assert done.returncode == code
    assert expected in last_line(done.stdout + done.stderr)
    assert "Traceback" not in done.stdout + done.stderr
    assert not (tmp_path / "out").exists()


def test_a_mistake_that_the_segmenter_finds_is_one_line_and_a_non_zero_exit(domain_id, tmp_path):
    runner = start_runner(domain_id, tmp_path / "out", "--weights", "nowhere.safetensors")
    output = finish(runner)
    assert runner.returncode == 1
    assert "Traceback" not in output
    assert "nowhere.safetensors: there is no such weights file" in last_line(output)
    assert not list(tmp_path.glob("out/*"))


def last_line(output: str) -> str:
    """Without the box of a usage error."""
    return [line for line in output.splitlines() if not line.startswith("╰")][-1]


def test_another_simulator_flies_the_drone(domain_id, ros, tmp_path):
    """Its pose moves the camera; nothing is commanded before the follower is enabled."""
    ports = free_port(), free_port()
    vehicle = Vehicle(f"udpout:127.0.0.1:{ports[0]}")
    vehicle.also_send_to(ports[1])
    addresses = [f"mavlink: {{address: 'udpin:127.0.0.1:{port}'}}" for port in ports]
    (tmp_path / "mine.yaml").write_text(
        f"/**/follower: {{ros__parameters: {{{addresses[0]}}}}}\n/**/simulator: {{ros__parameters: {{{addresses[1]}}}}}"
    )
    out = tmp_path / "out"
    given = ["--vehicle", "mavlink", "--params", tmp_path / "mine.yaml", "--duration", "3"]
    runner = start_runner(domain_id, out, *given, "--weights", write_weights(tmp_path / "nowhere.safetensors"))
    assert wait_until(lambda: runner.poll() is not None, vehicle.live, 120.0)
    output = finish(runner)
    assert runner.returncode == 0, output
    assert "Another program may receive the commands: to start following" in output
    assert len(rows_of(out)) > 5
    assert "closest approach" in (out / "flight.html").read_text()
    assert not vehicle.targets


def test_without_a_source_the_simulator_flies(domain_id, tmp_path):
    """Nobody is found by these weights, so the drone stays; report, video and bag are there all the same."""
    weights = write_weights(tmp_path / "nowhere.safetensors")
    out = tmp_path / "out"
    runner = start_runner(domain_id, out, "--weights", weights, "--duration", "2", "--record", "--scenario", "straight")
    output = finish(runner, timeout_s=120)
    assert runner.returncode == 0, output
    assert "Traceback" not in output
    assert len(rows_of(out)) > 5
    page = (out / "flight.html").read_text()
    assert "<svg" in page and "data:video/webm;base64," in page and "closest approach" in page
    typestore = get_typestore(Stores.ROS2_JAZZY)
    with AnyReader([out / "bag"], default_typestore=typestore) as bag:
        counts = {connection.topic: connection.msgcount for connection in bag.connections}
        images = [c for c in bag.connections if c.topic == "/image_raw"]
        _, _, data = next(bag.messages(connections=images))
        first = typestore.deserialize_cdr(data, images[0].msgtype)
    assert (first.width, first.height, first.encoding) == (320, 240, "rgb8")
    for topic in (
        "/image_raw",
        "/odom",
        "/simulated/cmd_vel",
        "/segmentation/label_mask",
        "/ground_truth/hero",
        "/follow/state",
    ):
        assert counts.get(topic, 0) > 0, (topic, counts)


def flying(domain_id: int, tmp_path: Path, *arguments: object) -> tuple[subprocess.Popen[str], list[str]]:
    """A runner that plays frames again and again, and what it has printed up to its first masks.

    Every pixel is taken for the hero, so that the follower soon takes the picture for frozen.
    """
    frames = write_frames(tmp_path / "run", 5, masks=False)
    weights = write_weights(tmp_path / "everywhere.safetensors", hero_everywhere=True)
    endless = ("--rate", "10", "--loop", "--duration", "200")  # which a test that fails waits for
    runner = start_runner(domain_id, tmp_path / "out", "--source", frames, *endless, "--weights", weights, *arguments)
    return runner, listen(runner, "masks/s")


def listen(runner: subprocess.Popen[str], text: str) -> list[str]:
    """Its lines up to one that has `text`."""
    printed: list[str] = []
    assert runner.stdout is not None
    for line in runner.stdout:
        printed.append(line)
        if text in line:
            return printed
    raise AssertionError("".join(printed))


def wait_for_node(runner: subprocess.Popen[str], name: str, other_than: int = 0) -> int:
    """The pid of one of the runner's nodes, once it is there."""
    assert wait_until(lambda: children(runner.pid).get(name, other_than) != other_than, lambda: time.sleep(0.05))
    return children(runner.pid)[name]


@pytest.mark.parametrize("network", [False, True], ids=["default", "--network"])
def test_nothing_listens_to_the_network_but_by_the_option_and_no_node_outlives_its_runner(network, domain_id, tmp_path):
    runner, _ = flying(domain_id, tmp_path, *(["--network"] if network else []))
    nodes = children(runner.pid)
    assert set(nodes) == {"segmenter", "follower", "player"}
    for pid in (runner.pid, *nodes.values()):
        assert (udp_addresses(pid) == {LOOPBACK}) is not network
    assert [name for name, pid in (*nodes.items(), ("runner", runner.pid)) if loads_pytorch(pid)] == ["segmenter"]
    runner.kill()
    assert wait_until(lambda: not any(map(is_alive, nodes.values())), lambda: time.sleep(0.05))


def test_what_dies_in_flight_starts_again_and_following_goes_on(domain_id, tmp_path):
    """The runner enables the follower, each time anew, where no vehicle can hear it."""
    params = tmp_path / "waits.yaml"
    params.write_text("/**/follower: {ros__parameters: {start_enabled: false}}")
    flight = ("--scenario", "stop_and_go", "--duration", "200", "--params", params)
    runner = start_runner(domain_id, tmp_path / "out", *flight, engine="openvino")
    printed = listen(runner, "tracking")
    for name in ("segmenter", "follower"):
        os.kill(wait_for_node(runner, name), signal.SIGKILL)
        printed += listen(runner, f"the {name} was killed by signal 9; it is restarted")
        printed += listen(runner, "tracking")
    output = "".join(printed) + interrupt(runner)
    assert runner.returncode == 0, output
    assert "Traceback" not in output and "publishers" not in output
    states = [row["state"] for row in rows_of(tmp_path / "out")]
    followed_again = states[len(states) - states[::-1].index("") :]  # no state: the follower was dead
    assert "tracking" in followed_again  # the last row may be of the end of the flight


def test_what_dies_again_and_again_ends_the_flight_with_one_line(domain_id, tmp_path):
    runner, _ = flying(domain_id, tmp_path)
    nodes = children(runner.pid)
    pid = nodes["follower"]
    for restarts_left in (3, 2, 1, 0):
        os.kill(pid, signal.SIGKILL)
        if restarts_left:
            pid = wait_for_node(runner, "follower", pid)
    output = finish(runner)
    assert runner.returncode == 1
    expected = "fcn-follow: the follower was killed by signal 9; after 3 restarts in 60 s the flight ends"
    assert output.strip().splitlines()[-1] == expected
    assert "Traceback" not in output
    assert not any(map(is_alive, nodes.values()))


def test_no_message_ends_the_flight(ros, domain_id, tmp_path):
    """What each of them does to the runner is held in test_flight_watcher.py; here they meet the whole flight."""
    import rclpy
    from builtin_interfaces.msg import Time
    from diagnostic_msgs.msg import KeyValue
    from geometry_msgs.msg import PointStamped
    from sensor_msgs.msg import Image
    from std_msgs.msg import Header

    runner, printed = flying(domain_id, tmp_path)
    stranger = rclpy.create_node("stranger")
    hostile = {
        "segmentation/label_mask": Image(encoding="mono8", width=640, height=480, step=1),
        "ground_truth/label_mask": Image(encoding="mono8", width=1, height=2, step=1, data=b"ab"),
        "hero/centroid": PointStamped(header=Header(stamp=Time(sec=-5))),
        "follow/state": KeyValue(key="[/x]", value="\x1b[31mred"),
    }
    publishers = {topic: stranger.create_publisher(type(message), topic, 10) for topic, message in hostile.items()}
    wait_until(lambda: all(p.get_subscription_count() for p in publishers.values()), lambda: time.sleep(0.05))
    for _ in range(20):
        for topic, message in hostile.items():
            publishers[topic].publish(message)
        time.sleep(0.05)
    stranger.destroy_node()
    printed += listen(runner, "masks/s")
    output = "".join(printed) + interrupt(runner)
    assert runner.returncode == 0, output
    assert "Traceback" not in output and "\x1b[31m" not in output
    assert re.search(r"not usable +│ \d+ messages; the last: ", output)


def test_the_runner_enables_nothing_that_could_move_a_vehicle(domain_id, tmp_path):
    pytest.importorskip("pymavlink", reason="the output mavlink needs pymavlink")
    params = tmp_path / "drone.yaml"
    params.write_text(
        "/**/follower: {ros__parameters: {output: mavlink, start_enabled: false, "
        "mavlink: {address: 'udpin:127.0.0.1:0'}}}"
    )
    frames = write_frames(tmp_path / "run", 15, masks=False)
    weights = write_weights(tmp_path / "everywhere.safetensors", hero_everywhere=True)
    out = tmp_path / "out"
    runner = start_runner(domain_id, out, "--source", frames, "--rate", "10", "--weights", weights, "--params", params)
    output = finish(runner)
    assert runner.returncode == 0, output
    assert 'ros2 service call /follower/enable std_srvs/srv/SetBool "{data: true}"' in output
    assert {row["state"] for row in rows_of(out)} <= {"-", "idle"}


@pytest.mark.data
@pytest.mark.skipif(REAL_FRAMES is None, reason="needs the real frames")
@pytest.mark.slow
def test_real_frames_at_15_a_second_with_the_trained_weights(domain_id, tmp_path):
    """Whether the frames get masks and the hero, who is in 71 of the second 150 frames, is found."""
    out = tmp_path / "out"
    runner = start_runner(domain_id, out, "--source", REAL_FRAMES, "--rate", "15", "--duration", "20")
    output = finish(runner, timeout_s=120)
    assert runner.returncode == 0, output
    rows = rows_of(out)
    assert sum(math.isfinite(float(row["hero_x_px"] or "nan")) for row in rows) > 30
    ious = [float(row["hero_iou"]) for row in rows if row["hero_iou"]]
    assert len(ious) > 30
    assert sum(ious) / len(ious) > 0.3
    assert "hero IoU" in output
