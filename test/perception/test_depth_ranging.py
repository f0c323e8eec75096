"""Depth in the air: engines that give it, the position that follows from it, and the segmenter node over real DDS."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import rclpy
import torch
from drawn_frames import HERO_BOX, frame, write_weights
from geometry_msgs.msg import PointStamped
from locating import locating
from made_weights import CAMERA, CARD, lived_in, write_depth_weights
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from ros_tools import finish, interrupt, parameter_arguments, start_node, wait_until
from sensor_msgs.msg import CameraInfo, Image

from fcn_follow.errors import UserError
from fcn_follow.images.messages import fill_camera_info, fill_image, image_to_rgb
from fcn_follow.inference.choice import EngineRequest
from fcn_follow.inference.engine import EngineSpec, Output, open_engine
from fcn_follow.inference.exported import choose_for, load_model
from fcn_follow.inference.verification import Verification
from fcn_follow.lab.export import export
from fcn_follow.networks.registry import build_network
from fcn_follow.networks.weights import METRES, PER_IMAGE, LoadedWeights, ModelCard
from fcn_follow.perception.blobs import Blob, Box
from fcn_follow.perception.hero import find_hero
from fcn_follow.perception.ranging import BODY_BEHIND_SURFACE_M, blob_depth, locate_hero
from fcn_follow.perception.segmenter import Segmenter


@pytest.fixture(scope="module")
def lived() -> LoadedWeights:
    torch.manual_seed(3)
    return LoadedWeights(lived_in(build_network("mask_depth_separable")), CARD)


@pytest.mark.parametrize(
    "engine", ["torch", "onnxruntime", "openvino", pytest.param("torch-compiled", marks=pytest.mark.slow)]
)
def test_every_engine_gives_labels_and_depth_in_one_pass(lived, engine):
    image = Verification(lived).frames[0]
    with torch.inference_mode():
        answer = lived.network(torch.tensor(image).permute(2, 0, 1)[None].float() / 127.5 - 1.0)[0].numpy()
    opened = open_engine(EngineSpec(engine), lived, Output.CODES_AND_DEPTH)
    assert Verification(lived).problem(opened) == ""
    segmenter = Segmenter(lived, opened)
    labels, _, depth_m = segmenter.look(image, 55.0)
    assert (labels == answer[:3].argmax(0)).mean() > 0.999
    np.testing.assert_allclose(depth_m, np.exp(answer[3]) * 55.0 / CARD.depth_focal_px, rtol=1e-3)
    assert np.array_equal(segmenter.segment(image), labels)
    larger = segmenter.look(np.repeat(np.repeat(image, 3, 0), 3, 1), 3 * 55.0)
    assert larger.labels.shape == larger.depth_m.shape == (144, 192)
    assert larger.depth_m.dtype == np.float32
    assert np.median(larger.depth_m) == pytest.approx(np.median(depth_m), rel=0.05)


@pytest.mark.parametrize("suffix", [".onnx", ".xml"])
def test_an_exported_network_gives_depth_too(lived, tmp_path, suffix):
    export(lived, tmp_path / f"eyes{suffix}")
    model = load_model(tmp_path / f"eyes{suffix}")
    chosen = choose_for(model, EngineRequest("openvino", precision="fp32"), output=Output.CODES_AND_DEPTH)
    assert Verification(lived).problem(chosen.engine) == ""
    assert Segmenter(model, chosen.engine).look(np.zeros((120, 160, 3), np.uint8), 150.0).depth_m.any()


def test_a_depth_that_differs_is_a_problem(lived):
    class Farther:
        def __init__(self, engine):
            self.engine, self.spec, self.device_name = engine, engine.spec, "cpu"

        def run(self, images):
            answer = self.engine.run(images)
            return dataclasses.replace(answer, depth=answer.depth + np.float32(math.log(1.1)))

    opened = Farther(open_engine(EngineSpec(), lived, Output.CODES_AND_DEPTH))
    assert Verification(lived).problem(opened) == "its depth is 10.0% off that of plain PyTorch"


def test_what_has_no_depth_in_metres_or_not_all_classes_is_refused_by_name(lived):
    for card, expected in (
        (dataclasses.replace(CARD, depth=PER_IMAGE), "mask_depth_separable gives depth"),
        (ModelCard("mask_depth_shuffle", 48, 64, depth=METRES, depth_focal_px=60.0), "one class from the rest"),
        (ModelCard("hero_net", 48, 64), "hero_net gives no depth"),
    ):
        for engine in ("torch", "openvino"):
            weights = LoadedWeights(build_network(card.network).eval(), card)
            with pytest.raises(UserError, match=expected):
                open_engine(EngineSpec(engine), weights, Output.CODES_AND_DEPTH)


def by_depth(hero: Any, depth_m: float) -> tuple[float, float, float] | None:
    found = locate_hero(hero, CAMERA, locating("depth"), 12.5, depth_m)
    return found and found.position_camera_m


def test_the_position_lies_on_the_ray_of_the_centroid_at_the_median_depth():
    _, labels = frame(0)
    hero = find_hero(labels)
    depth_m = np.full(labels.shape, 30.0, np.float32)
    depth_m[HERO_BOX] = 6.0
    depth_m[60:64, 30:50] = 29.0  # a border that sees the background does not move the median
    assert hero is not None
    assert blob_depth(hero, labels, depth_m) == 6.0
    z = 6.0 + BODY_BEHIND_SURFACE_M
    x, y = hero.centroid_px
    expected = ((x - CAMERA.cx_px) / CAMERA.fx_px * z, (y - CAMERA.cy_px) / CAMERA.fy_px * z, z)
    assert by_depth(hero, 6.0) == pytest.approx(expected)
    depth_m[70, 40] = math.nan
    assert math.isnan(blob_depth(hero, labels, depth_m))


@pytest.mark.parametrize("depth_m", [9.0, 60.0, 1e6])
@pytest.mark.parametrize("size_px", [(20, 40), (40, 20)], ids=["stands", "lies"])
def test_a_depth_at_which_the_hero_would_be_a_giant_is_not_believed(size_px, depth_m):
    """A network in a world that it was not trained for; the hero is 6.4 m away by its size."""
    width_px, height_px = size_px
    box = Box(60, 60, 60 + width_px, 60 + height_px)
    hero = Blob(2, (60 + (width_px - 1) / 2, 60 + (height_px - 1) / 2), width_px * height_px, box)
    found, near = by_depth(hero, depth_m), by_depth(hero, 6.0)
    assert found is not None and near is not None
    assert found[2] == pytest.approx(1.25 * 1.7 * 150.0 / 40.0)
    assert [each / found[2] for each in found] == pytest.approx([each / near[2] for each in near]), "on the same ray"
    assert near[2] == pytest.approx(6.0 + BODY_BEHIND_SURFACE_M)


@pytest.mark.parametrize("depth_m", [math.nan, 0.0, -1.0, math.inf])
def test_a_depth_that_is_no_distance_gives_no_position(depth_m):
    hero = find_hero(frame(0)[1])
    assert hero is not None
    assert by_depth(hero, depth_m) is None
    assert locate_hero(hero, CAMERA, locating("depth"), 0.0) is None


class Listener:
    """A node of the test: pictures out, what the segmenter says in."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("listener")
        self.positions: list[PointStamped] = []
        self.node.create_subscription(PointStamped, "hero/position", self.positions.append, 10)
        self.depths: list[Image] = []
        self.images = self.node.create_publisher(Image, "image_raw", 1)
        self.infos = self.node.create_publisher(CameraInfo, "camera_info", 1)

    def spin(self) -> None:
        rclpy.spin_once(self.node, timeout_sec=0.05)

    def send(self, stamp_s: int = 7) -> None:
        self.infos.publish(fill_camera_info(CameraInfo(), CAMERA))
        message = fill_image(Image(), frame(0)[0])
        message.header.stamp.sec, message.header.frame_id = stamp_s, "front_camera"
        self.images.publish(message)
        self.spin()

    def set_parameter(self, name: str, value: object) -> tuple[bool, str]:
        client = self.node.create_client(SetParameters, "segmenter/set_parameters")
        assert client.wait_for_service(20.0)
        asked = client.call_async(SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()]))
        assert wait_until(asked.done, self.spin)
        (result,) = asked.result().results
        return result.successful, result.reason


def test_the_segmenter_ranges_by_depth_and_publishes_it_while_somebody_listens(ros, domain_id, tmp_path):
    listener = Listener()
    given = {
        "weights": write_depth_weights(tmp_path / "eyes.safetensors", 1.5),
        "engine": "torch",
        "ranging.method": "depth",
    }
    segmenter = start_node("segmenter", domain_id, *parameter_arguments(given))
    assert wait_until(lambda: bool(listener.positions), listener.send)
    z = 1.5 + BODY_BEHIND_SURFACE_M
    point = listener.positions[0].point
    assert (point.x, point.y, point.z) == pytest.approx((0.0, 0.0, z), abs=1e-3)  # all of the picture is the hero
    assert listener.positions[0].header.frame_id == "front_camera"

    (topic,) = (name for name, _ in listener.node.get_topic_names_and_types() if name.endswith("/depth/image"))
    subscription = listener.node.create_subscription(Image, topic, listener.depths.append, 10)
    assert wait_until(lambda: any(d.header.stamp.sec == 9 for d in listener.depths), lambda: listener.send(9))
    depth = listener.depths[-1]
    assert depth.header.frame_id == "front_camera"
    assert (depth.encoding, depth.width, depth.height, depth.step) == ("32FC1", 160, 120, 640)
    metres = np.frombuffer(depth.data, "<f4" if not depth.is_bigendian else ">f4").reshape(120, 160)
    assert metres == pytest.approx(1.5, rel=1e-4)
    listener.node.destroy_subscription(subscription)

    assert listener.set_parameter("ranging.method", "apparent_height") == (True, "")
    listener.positions.clear()
    assert wait_until(lambda: bool(listener.positions) and listener.positions[-1].point.z < 1.0, listener.send)
    assert interrupt(segmenter).count("Traceback") == 0
    assert segmenter.returncode == 0


def test_depth_without_a_depth_head_is_refused_at_start_and_in_flight(ros, domain_id, tmp_path):
    weights = write_weights(tmp_path / "flat.safetensors", hero_everywhere=True)
    expected = "ranging.method depth does not work with weights flat.safetensors: the network hero_net gives no depth"
    refused = start_node("segmenter", domain_id, *parameter_arguments({"weights": weights, "ranging.method": "depth"}))
    output = finish(refused)
    assert refused.returncode == 1
    assert expected in output and "Traceback" not in output

    listener = Listener()
    segmenter = start_node("segmenter", domain_id, *parameter_arguments({"weights": weights, "engine": "torch"}))
    assert wait_until(lambda: bool(listener.positions), listener.send)
    successful, reason = listener.set_parameter("ranging.method", "depth")
    assert not successful and expected in reason
    assert not any(name.endswith("depth/image") for name, _ in listener.node.get_topic_names_and_types())
    interrupt(segmenter)


def test_an_image_message_of_depth_is_read_back():
    message = fill_image(Image(), np.array([[1.5, 2.5]], np.float32))
    assert (message.encoding, message.step, message.is_bigendian) == ("32FC1", 8, 0)
    assert np.frombuffer(message.data, "<f4").tolist() == [1.5, 2.5]
    with pytest.raises(UserError, match="32FC1"):
        image_to_rgb(message)
