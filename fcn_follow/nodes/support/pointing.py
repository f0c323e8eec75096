"""The user points at the hero: hero/point, ~/select_nearest, hero/candidates, and the file of the hero's appearance."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

from geometry_msgs.msg import Point, PointStamped, Pose, PoseArray
from rclpy.node import Node
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from fcn_follow.errors import UserError, one_line
from fcn_follow.files import write_whole
from fcn_follow.nodes.support.appearance_file import read_appearance
from fcn_follow.perception.pipeline import SelectedHeroParameters
from fcn_follow.perception.selection import NOBODY_CHOSEN, Choice, Selection

PICTURES_S = 1.0
"""A point counts only if a picture came within this time; else it could choose a person who arrives later."""


class Pointing:
    """Connects a `Selection` to ROS. `asks` is the question to the user, empty while there is none."""

    def __init__(self, node: Node, parameters: SelectedHeroParameters) -> None:
        """Raises UserError for an appearance file that cannot be used."""
        self._node = node
        self._path = Path(parameters.appearance_file).expanduser() if parameters.appearance_file else None
        known = self._path is not None and self._path.exists()
        self.asks, self.notice = "" if known else NOBODY_CHOSEN, ""
        self.selection = Selection(read_appearance(self._path) if self._path and known else None)
        self._choice: Choice | None = None
        self._frame_id = ""
        self._looked_s = -math.inf
        self._publisher = node.create_publisher(PoseArray, "hero/candidates", 1)
        node.create_subscription(PointStamped, "hero/point", self._on_point, 1)
        node.create_service(Trigger, "~/select_nearest", self._on_select_nearest)

    def take(self, header: Header, choice: Choice) -> None:
        """Publish the candidates of an image, report the result of a point, and save a learnt appearance."""
        self._choice, self._frame_id, self._looked_s = choice, header.frame_id, time.monotonic()
        poses = [Pose(position=Point(x=x, y=y, z=float(number))) for number, (x, y) in choice.places_px.items()]
        self._publisher.publish(PoseArray(header=header, poses=poses))
        if choice.notice:
            self.report(choice.notice)
        refusal = f" ({self.notice})" if choice.asks and self.notice.startswith("refused") else ""
        self.asks = choice.asks + refusal
        if choice.learnt and self._path:
            try:
                write_whole(self._path, choice.learnt.to_json())
                self._node.get_logger().info(f"the hero's appearance is written to {self._path}")
            except UserError as error:
                self._node.get_logger().error(str(error))

    def report(self, notice: str) -> None:
        """Report the result of a point to the user."""
        self.notice = notice
        logger = self._node.get_logger()
        (logger.warning if notice.startswith("refused") else logger.info)(f"pointing: {notice}")

    def _why_not(self) -> str:
        """Why pointing is not possible now; empty if it is."""
        no_pictures = time.monotonic() - self._looked_s > PICTURES_S
        return f"refused: no picture for more than {PICTURES_S:g} s" if no_pictures else ""

    def _on_point(self, message: PointStamped) -> None:
        frame, point = message.header.frame_id, message.point
        if refusal := self._why_not():
            self.report(refusal)
        elif frame not in ("", self._frame_id):
            self.report(
                f"refused: the point is in frame {one_line(frame[:80])!r}, and pixels are in {self._frame_id!r} "
                "(or in no frame); a click in a 3D view gives metres"
            )
        elif not (math.isfinite(point.x) and math.isfinite(point.y)):
            self.report("refused: the point is not finite")
        else:
            self.selection.point(point.x, point.y)

    def _on_select_nearest(self, _request: Any, response: Trigger.Response) -> Trigger.Response:
        refusal = self._why_not()
        nearest = self._choice.nearest_to_middle() if self._choice and not refusal else None
        if nearest is None:
            response.success, response.message = False, refusal or "refused: nobody is in the picture"
        else:
            self.selection.point(*nearest.centroid_px)
            response.success, response.message = True, f"the hero will be {nearest.words}"
        return response
