"""The drone: a quadrotor with a camera on a pitch gimbal, flown by velocity or by its rotors; or an autopilot's drone.

Rotors and controller gains are those of the X3 in Gazebo's example of the multicopter velocity controller; the body is
a box of about its size and mass; the camera is that of the embedded simulator at twice the resolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree.ElementTree import Element

from fcn_follow.gazebo.elements import child, plugin, pose, root, values
from fcn_follow.geometry import Vector3
from fcn_follow.simulation.episode import CameraSetup

DRONE = "follow_drone"
DRONE_ROTORS = "follow_drone_rotors"
"""The same drone, flown by its rotors."""
CAMERA = CameraSetup(width_px=640, height_px=480)
CAMERA_HZ = 20
OPTICAL_FRAME = "camera_optical_frame"
STAND = "launch_stand"
"""The stand of the drone with rotors, which do not turn until its controller gets the first command."""


@dataclass(frozen=True)
class AutopilotDrone:
    """A model from an autopilot's project, which this package does not contain, with our camera fixed to its body."""

    name: str
    uri: str
    camera_m: Vector3
    """Position of the camera in the body, where no part of the model is in front of it."""
    merged: bool
    """Whether its links become links of the drone, as PX4's bridge expects them."""


IRIS = AutopilotDrone("follow_iris", "model://iris_with_gimbal", (0.2, 0.0, 0.0), merged=False)
X500 = AutopilotDrone("follow_x500", "model://x500", (0.12, 0.0, 0.242), merged=True)
_BODY_KG, _ROTOR_KG, _CAMERA_KG = 1.43, 0.005, 0.05
_BODY_M = (0.47, 0.47, 0.11)
_STAND_X_M = -0.09
_ROTORS_M = ((0.13, -0.22), (-0.13, 0.2), (0.13, 0.22), (-0.13, -0.2))
_TURNS = ("ccw", "ccw", "cw", "cw")
_ROTOR_Z_M, _ROTOR_RADIUS_M = 0.023, 0.1
_FORCE_CONSTANT, _MOMENT_CONSTANT = 8.54858e-06, 0.016


def drone_model(rotors: bool) -> Element:
    """The model's SDF; its topics are under follow_drone, with rotors or without."""
    document = root()
    model = child(document, "model", name=DRONE)
    _base(model, gravity=rotors)
    _camera(model, gravity=rotors)
    for number in range(len(_ROTORS_M)):
        _rotor(model, number, turns=rotors)
    if rotors:
        _rotor_control(model)
    else:
        values(plugin(model, "gz-sim-velocity-control-system"), topic=f"{DRONE}/cmd_vel")
    values(
        plugin(model, "gz-sim-joint-position-controller-system"),
        joint_name="camera_pitch", topic=f"{DRONE}/camera/pitch", initial_position=f"{CAMERA.mount.pitch_down_rad:g}",
        use_velocity_commands=True,
    )  # fmt: skip
    values(
        plugin(model, "gz-sim-odometry-publisher-system"),
        odom_topic=f"{DRONE}/odom", odom_frame="odom", robot_base_frame="base_link", dimensions=3,
        odom_publish_frequency=50,
    )  # fmt: skip
    return document


def autopilot_model(drone: AutopilotDrone) -> Element:
    """The model's SDF: the autopilot's model and plugins as they are, and a camera with the topics of follow_drone."""
    document = root()
    model = child(document, "model", name=DRONE, **({"canonical_link": "base_link"} if drone.merged else {}))
    include = child(model, "include", merge="true") if drone.merged else child(model, "include")
    values(include, uri=drone.uri)
    parent = "base_link"
    if not drone.merged:
        parent = "body_frame"  # of the nested model's canonical link, whose name has changed between versions
        values(include, name="body")
        child(model, "frame", name=parent, attached_to="body")
    link = _camera_link(model, drone.camera_m, CAMERA.mount.pitch_down_rad)
    joint = child(model, "joint", name="camera_joint", type="fixed")
    values(joint, parent=parent, child=link.get("name"))
    return document


def stand_model() -> Element:
    """A plate on a pole, with the drone's origin. The plate ends behind the camera, which looks down past its edge."""
    document = root()
    model = child(document, "model", name=STAND)
    values(model, static=True)
    link = child(model, "link", name="link")
    plate_m, pole_m = (0.3, 0.3, 0.02), (0.04, 0.04, 2.4)
    plate_z_m = -_BODY_M[2] / 2 - plate_m[2] / 2
    collision = child(link, "collision", name="collision")
    pose(collision, _STAND_X_M, 0.0, plate_z_m)
    values(child(child(collision, "geometry"), "box"), size=" ".join(map(str, plate_m)))
    _box(link, "plate", plate_m, (_STAND_X_M, 0.0, plate_z_m), "0.4 0.4 0.4 1")
    _box(link, "pole", pole_m, (_STAND_X_M, 0.0, plate_z_m - plate_m[2] / 2 - pole_m[2] / 2), "0.4 0.4 0.4 1")
    return document


def _base(model: Element, gravity: bool) -> None:
    link = child(model, "link", name="base_link")
    values(link, gravity=gravity)
    camera_x_m = CAMERA.mount.position_body_m[0]
    _inertial(link, _BODY_KG, _box_moments(_BODY_KG, _BODY_M), x_m=-camera_x_m * _CAMERA_KG / _BODY_KG)
    collision = child(link, "collision", name="collision")
    values(child(child(collision, "geometry"), "box"), size=" ".join(map(str, _BODY_M)))
    _box(link, "hull", (0.2, 0.12, 0.06), (0.0, 0.0, 0.0), "0.12 0.12 0.13 1")
    for number, (x_m, y_m) in enumerate(_ROTORS_M):
        _box(link, f"motor_{number}", (0.03, 0.03, 0.03), (x_m, y_m, 0.005), "0.3 0.3 0.3 1")
    _box(link, "front", (0.02, 0.05, 0.02), (0.105, 0.0, 0.015), "0.9 0.5 0.1 1")


def _camera_link(model: Element, place_m: Vector3, pitch_down_rad: float = 0.0, gravity: bool = True) -> Element:
    link = child(model, "link", name="camera_link")
    pose(link, *place_m, 0.0, pitch_down_rad)
    values(link, gravity=gravity)
    _inertial(link, _CAMERA_KG, (2e-5, 2e-5, 2e-5))
    _box(link, "housing", (0.03, 0.04, 0.03), (-0.02, 0.0, 0.0), "0.05 0.05 0.05 1")
    _sensor(link, "camera", "camera", f"{DRONE}/camera/image_raw")
    _sensor(link, "segmentation", "segmentation", f"{DRONE}/segmentation")
    return link


def _camera(model: Element, gravity: bool) -> None:
    _camera_link(model, CAMERA.mount.position_body_m, gravity=gravity)
    joint = child(model, "joint", name="camera_pitch", type="revolute")
    values(joint, parent="base_link", child="camera_link")
    axis = child(joint, "axis")
    values(axis, xyz="0 1 0")
    values(child(axis, "limit"), lower=-1.57, upper=1.57, effort="1e6")
    values(child(axis, "dynamics"), damping=0.005)


def _sensor(link: Element, name: str, kind: str, topic: str) -> None:
    sensor = child(link, "sensor", name=name, type=kind)
    frame = "camera_link" if kind == "camera" else OPTICAL_FRAME  # a segmentation camera has no optical_frame_id
    values(sensor, topic=topic, update_rate=CAMERA_HZ, always_on=True, gz_frame_id=frame)
    camera = child(sensor, "camera")
    if kind == "segmentation":
        values(camera, segmentation_type="semantic")
    values(camera, horizontal_fov=f"{CAMERA.horizontal_fov_rad:.5f}", optical_frame_id=OPTICAL_FRAME)
    image = child(camera, "image")
    values(image, width=CAMERA.width_px, height=CAMERA.height_px)
    if kind == "camera":
        values(image, format="R8G8B8")
    values(child(camera, "clip"), near=0.1, far=150)


def _rotor(model: Element, number: int, turns: bool) -> None:
    x_m, y_m = _ROTORS_M[number]
    link = child(model, "link", name=f"rotor_{number}")
    pose(link, x_m, y_m, _ROTOR_Z_M)
    values(link, gravity=turns)
    _inertial(link, _ROTOR_KG, (1.6e-5, 1.7e-5, 3.2e-5))
    visual = child(link, "visual", name="disc")
    values(child(child(visual, "geometry"), "cylinder"), radius=_ROTOR_RADIUS_M, length=0.004)
    values(visual, transparency=0.7)
    _paint(visual, "0.2 0.2 0.2 1")
    joint = child(model, "joint", name=f"rotor_{number}_joint", type="revolute" if turns else "fixed")
    values(joint, parent="base_link", child=f"rotor_{number}")
    if turns:
        axis = child(joint, "axis")
        values(axis, xyz="0 0 1")
        values(child(axis, "limit"), lower="-1e16", upper="1e16")


def _rotor_control(model: Element) -> None:
    for number, turn in enumerate(_TURNS):
        values(
            plugin(model, "gz-sim-multicopter-motor-model-system"),
            robotNamespace=DRONE, jointName=f"rotor_{number}_joint", linkName=f"rotor_{number}", turningDirection=turn,
            timeConstantUp=0.0125, timeConstantDown=0.025, maxRotVelocity=800.0, motorConstant=_FORCE_CONSTANT,
            momentConstant=_MOMENT_CONSTANT, commandSubTopic="motor_speed", actuator_number=number,
            rotorDragCoefficient=8.06428e-05, rollingMomentCoefficient=1e-06, rotorVelocitySlowdownSim=10,
            motorType="velocity",
        )  # fmt: skip
    control = plugin(model, "gz-sim-multicopter-control-system")
    values(
        control,
        robotNamespace=DRONE, commandSubTopic="cmd_vel", enableSubTopic="enable", comLinkName="base_link",
        velocityGain="2.7 2.7 2.7", attitudeGain="2 3 0.15", angularRateGain="0.4 0.52 0.18",
        maximumLinearAcceleration="4 4 4",
    )  # fmt: skip
    configuration = child(control, "rotorConfiguration")
    for number, turn in enumerate(_TURNS):
        values(
            child(configuration, "rotor"),
            jointName=f"rotor_{number}_joint", forceConstant=_FORCE_CONSTANT, momentConstant=_MOMENT_CONSTANT,
            direction=1 if turn == "ccw" else -1,
        )  # fmt: skip


def _inertial(link: Element, mass_kg: float, moments_kg_m2: tuple[float, float, float], x_m: float = 0.0) -> None:
    """The base's mass is so far behind the middle that the camera does not tilt the drone."""
    inertial = child(link, "inertial")
    if x_m:
        pose(inertial, x_m)
    values(inertial, mass=mass_kg)
    ixx, iyy, izz = moments_kg_m2
    values(child(inertial, "inertia"), ixx=ixx, iyy=iyy, izz=izz, ixy=0, ixz=0, iyz=0)


def _box_moments(mass_kg: float, size_m: tuple[float, float, float]) -> tuple[float, float, float]:
    x, y, z = (mass_kg / 12 * side**2 for side in size_m)
    return (round(y + z, 5), round(x + z, 5), round(x + y, 5))


def _box(link: Element, name: str, size_m: tuple[float, ...], place_m: tuple[float, ...], rgba: str) -> None:
    visual = child(link, "visual", name=name)
    pose(visual, *place_m)
    values(child(child(visual, "geometry"), "box"), size=" ".join(f"{side:g}" for side in size_m))
    _paint(visual, rgba)


def _paint(visual: Element, rgba: str) -> None:
    values(child(visual, "material"), ambient=rgba, diffuse=rgba, specular="0.1 0.1 0.1 1")
