"""The follower's geometry as a drawing, from its parameters: `python docs/draw_following.py OUT.svg`.

Any file type that matplotlib writes; the same parameters give the same file.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Circle, Polygon

from fcn_follow.following.parameters import FollowerParameters

HERO, DRONE, QUIET, WARN = "#b03a2e", "#1f4e79", "#7f8c8d", "#d68910"
BEARING_RAD = math.radians(215.0)
HEADING_RAD = math.radians(20.0)
HERO_HEIGHT_M = 1.7


def draw(parameters: FollowerParameters) -> Any:
    """A matplotlib figure: seen from above, and from the side."""
    figure = Figure(figsize=(11.0, 5.2), layout="constrained")
    above, side = figure.subplots(1, 2, width_ratios=(1.0, 1.15))
    _draw_above(above, parameters)
    _draw_side(side, parameters)
    return figure


def _draw_above(axes: Any, parameters: FollowerParameters) -> None:
    distance, nearest = parameters.set_points.distance_m, parameters.limits.minimum_distance_m
    x, y = distance * math.cos(BEARING_RAD), distance * math.sin(BEARING_RAD)
    axes.add_patch(Circle((0, 0), distance, fill=False, color=QUIET, linestyle=":"))
    axes.add_patch(Circle((0, 0), nearest, color=WARN, alpha=0.18))
    axes.text(0.0, -nearest - 0.45, "limits.minimum_distance_m", color=WARN, ha="center", size=9)
    axes.annotate("", (4.2, 0.0), (0.0, 0.0), arrowprops={"arrowstyle": "-|>", "color": QUIET})
    axes.text(4.2, -0.4, "x of odom", color=QUIET, ha="right", size=9)
    tip = (2.8 * math.cos(HEADING_RAD), 2.8 * math.sin(HEADING_RAD))
    axes.annotate("", tip, (0.0, 0.0), arrowprops={"arrowstyle": "-|>", "color": HERO, "lw": 2})
    axes.text(tip[0] + 0.1, tip[1] + 0.1, "hero's way", color=HERO, va="bottom", size=10)
    axes.plot(0, 0, "o", color=HERO, ms=11)
    axes.plot([0, x], [0, y], color=DRONE, lw=1)
    axes.text(x * 0.62 - 0.25, y * 0.62 + 0.3, "set_points.distance_m", color=DRONE, ha="right", size=10)
    axes.add_patch(Arc((0, 0), 6.2, 6.2, theta1=0.0, theta2=math.degrees(BEARING_RAD), color=QUIET))
    axes.text(-1.0, 3.3, "bearing, in odom", color=QUIET, ha="center", size=10)
    nose = [(0.75, 0.0), (-0.45, 0.4), (-0.45, -0.4)]
    heading = BEARING_RAD + math.pi
    cos, sin = math.cos(heading), math.sin(heading)
    axes.add_patch(Polygon([(x + a * cos - b * sin, y + a * sin + b * cos) for a, b in nose], color=DRONE))
    axes.text(x, y - 0.95, "drone, its nose at the hero", color=DRONE, ha="center", size=10)
    for name, angle in (("front", 0), ("left", 90), ("behind", 180), ("right", 270)):
        cos, sin = math.cos(math.radians(angle) + HEADING_RAD), math.sin(math.radians(angle) + HEADING_RAD)
        axes.text(1.16 * distance * cos, 1.1 * distance * sin, name, color=QUIET, ha="center", va="center", size=9)
    axes.set(title="From above", aspect="equal", xlim=(-7.2, 7.2), ylim=(-6.2, 6.2))
    axes.axis("off")


def _draw_side(axes: Any, parameters: FollowerParameters) -> None:
    points, camera = parameters.set_points, parameters.camera
    middle = HERO_HEIGHT_M / 2
    x, z = -points.distance_m, middle + points.height_m
    axes.axhline(0.0, color="black", lw=1)
    axes.plot([0, 0], [0.0, HERO_HEIGHT_M - 0.25], color=HERO, lw=7, solid_capstyle="round")
    axes.plot(0, HERO_HEIGHT_M - 0.05, "o", color=HERO, ms=10)
    axes.plot(0, middle, "+", color="white", ms=9)
    axes.text(0.25, middle, "middle of the hero", color=HERO, va="center", size=10)
    axes.add_patch(Polygon([(x + 0.35, z), (x - 0.25, z + 0.16), (x - 0.25, z - 0.16)], color=DRONE))
    length = points.distance_m * 1.15
    edges = [camera.pitch_down_rad + side * camera.keep_rad for side in (-1, 1)]
    view = [(x, z), *((x + length * math.cos(a), z - length * math.sin(a)) for a in edges)]
    axes.add_patch(Polygon(view, color=DRONE, alpha=0.12))
    end = (x + length * math.cos(camera.pitch_down_rad), z - length * math.sin(camera.pitch_down_rad))
    axes.plot([x, end[0]], [z, end[1]], color=DRONE, lw=1, linestyle="-.")
    axes.text(end[0] - 0.1, end[1] + 0.15, "optical axis: camera.pitch_down_rad", color=DRONE, ha="right", size=9)
    axes.text(x + 2.7, z + 0.55, "camera.keep_rad\nabove and below", color=DRONE, ha="left", size=9)
    arrow: dict[str, str] = {"arrowstyle": "<->", "color": QUIET}
    axes.annotate("", (x, -0.35), (0, -0.35), arrowprops=arrow)
    axes.text(x / 2, -0.75, "set_points.distance_m (level)", color=QUIET, ha="center", size=10)
    axes.plot([x - 0.75, 0], [middle, middle], color=QUIET, lw=0.7, linestyle=":")
    axes.annotate("", (x - 0.6, middle), (x - 0.6, z), arrowprops=arrow)
    axes.text(x - 0.75, (middle + z) / 2, "set_points.\nheight_m", color=QUIET, ha="right", va="center", size=10)
    lowest = parameters.limits.minimum_height_m
    axes.plot([x - 2.3, 1.6], [lowest, lowest], color=WARN, lw=1, linestyle="--")
    axes.text(1.65, lowest + 0.1, "limits.minimum_\nheight_m", color=WARN, va="bottom", ha="left", size=9)
    axes.set(title="From the side", aspect="equal", xlim=(x - 2.4, 3.4), ylim=(-1.1, z + 1.6))
    axes.axis("off")


def main(arguments: list[str]) -> int:
    """Write the drawing to the file named by the one argument."""
    if len(arguments) != 1:
        print("usage: python docs/draw_following.py OUT.svg", file=sys.stderr)
        return 2
    target = Path(arguments[0])
    metadata = {"Date": None} if target.suffix == ".svg" else None
    with matplotlib.rc_context({"svg.hashsalt": "fcn_follow", "svg.fonttype": "none"}):
        draw(FollowerParameters()).savefig(target, dpi=110, metadata=metadata)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
