"""The hero, its uncertainty, the paths and the state as markers (visualization_msgs), for RViz and Foxglove."""

from __future__ import annotations

import math
from collections import deque

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Quaternion, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from fcn_follow.following.follower import FollowerStep
from fcn_follow.following.states import State

PERIOD_S = 0.1
PATH_S, PATH_STEP_S = 60.0, 1.0  # few points, because rclpy is slow for each
LIFETIME = Duration(nanosec=500_000_000)  # an outdated marker disappears
BODY_WIDTH_M = 0.5
GREY = (0.7, 0.7, 0.7)
COLOURS = {State.TRACKING: (0.1, 0.8, 0.2), State.COASTING: (1.0, 0.7, 0.0), State.SEARCHING: (1.0, 0.3, 0.0)}


class FollowMarkers:
    """Makes the markers of steps every PERIOD_S; the paths cover the last PATH_S in which there was a subscriber."""

    def __init__(self) -> None:
        self._hero_path: deque[Point] = deque(maxlen=round(PATH_S / PATH_STEP_S))
        self._drone_path: deque[Point] = deque(maxlen=round(PATH_S / PATH_STEP_S))
        self._made_s = self._kept_s = -math.inf

    def of(self, step: FollowerStep, header: Header, hero_height_m: float) -> MarkerArray | None:
        """The markers of a step, with a header of odom now; None if the last ones are newer than PERIOD_S."""
        if 0.0 <= step.now_s - self._made_s < PERIOD_S or step.vehicle is None:
            return None
        self._made_s = step.now_s
        keeps = not 0.0 <= step.now_s - self._kept_s < PATH_STEP_S
        if keeps:
            self._kept_s = step.now_s
        colour = COLOURS.get(step.state, GREY)

        def marker(name: str, kind: int, size: tuple[float, float, float], alpha: float = 1.0) -> Marker:
            colour_rgba = ColorRGBA(r=colour[0], g=colour[1], b=colour[2], a=alpha)
            scale = Vector3(x=size[0], y=size[1], z=size[2])
            return Marker(header=header, ns=name, type=kind, scale=scale, color=colour_rgba, lifetime=LIFETIME)

        drone = marker("drone", Marker.ARROW, (0.8, 0.15, 0.15))
        drone.pose.position = _point(step.vehicle.position_m)
        half_rad = step.vehicle.yaw_rad / 2
        drone.pose.orientation = Quaternion(z=math.sin(half_rad), w=math.cos(half_rad))
        drone_path = marker("drone path", Marker.LINE_STRIP, (0.03, 0.0, 0.0), 0.6)
        drone_path.points = _with(self._drone_path, drone.pose.position, keeps)
        words = marker("state", Marker.TEXT_VIEW_FACING, (0.0, 0.0, 0.4))
        words.pose.position = _point(step.vehicle.position_m, up_m=0.8)
        words.text = f"{step.state.value}: {step.reason}"
        markers = [drone, drone_path, words]
        if (hero := step.hero) is not None:
            body = marker("hero", Marker.CYLINDER, (BODY_WIDTH_M, BODY_WIDTH_M, hero_height_m), 0.8)
            body.pose.position = _point(hero.position_odom_m)
            sigma_m = hero.position_sigma_m
            doubt = marker(
                "two standard deviations of the hero", Marker.CYLINDER, (4 * sigma_m, 4 * sigma_m, 0.02), 0.3
            )
            doubt.pose.position = _point(hero.position_odom_m, up_m=-hero_height_m / 2)
            velocity = marker("hero in one second", Marker.ARROW, (0.08, 0.2, 0.2))
            ahead = [place + speed for place, speed in zip(hero.position_odom_m, hero.velocity_odom_m_s, strict=True)]
            velocity.points = [_point(hero.position_odom_m), Point(x=ahead[0], y=ahead[1], z=ahead[2])]
            hero_path = marker("hero path", Marker.LINE_STRIP, (0.05, 0.0, 0.0), 0.6)
            hero_path.points = _with(self._hero_path, body.pose.position, keeps)
            markers += [body, doubt, velocity, hero_path]
        return MarkerArray(markers=markers)


def _with(path: deque[Point], newest: Point, keeps: bool) -> list[Point]:
    """The path up to now; only with `keeps` does the newest point stay in it."""
    points = [*path, newest]
    if keeps:
        path.append(newest)
    return points


def _point(position_m: tuple[float, float, float], up_m: float = 0.0) -> Point:
    x, y, z = position_m
    return Point(x=x, y=y, z=z + up_m)
