"""Bodies of people from formulas: meshes of their parts in the poses of standing, walking, running and sitting.

A body is 1.75 m tall, stands on z = 0 and faces x. Every part is a mesh of its own, so that the renderer can give it a
colour; other heights and builds are scaled copies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fcn_follow.simulation.shapes import Mesh, Points, ellipsoid, loft, merged, stacked_ellipses, tube

BODY_HEIGHT_M = 1.75
MIDDLE_M = 0.93
"""Height of the hips, which are the middle of the body for the follower."""
SEATED_MIDDLE_M = 0.55
"""The same for a person who sits on the ground."""
POSES_PER_CYCLE = 16
SITTING_DOWN_POSES = 4
WALK_STRIDE_M = 1.45
RUN_STRIDE_M = 2.6
RUN_FROM_M_S = 2.3

PARTS = ("skin", "hair", "top", "sleeves", "forearms", "bottom", "calves", "shoes")
HAIR_STYLES = ("long", "short", "tail", "cap", "bald")
TOPS = ("shirt", "tunic", "jacket")
BOTTOMS = ("trousers", "skirt")

_HIP_M, _THIGH_M, _SHANK_M = 0.93, 0.44, 0.42
_SHOULDER_M, _UPPER_ARM_M, _FOREARM_M = 1.43, 0.28, 0.25


@dataclass(frozen=True)
class Pose:
    """Joint angles in radians; pairs are (right, left). Positive swings forward, a knee or elbow bends by its value."""

    thigh: tuple[float, float] = (0.03, -0.03)
    knee: tuple[float, float] = (0.05, 0.05)
    arm: tuple[float, float] = (0.05, -0.02)
    elbow: tuple[float, float] = (0.2, 0.2)
    lean: float = 0.02
    lift_m: float = 0.0


def gait_pose(phase_rad: float, running: bool) -> Pose:
    """The pose at a phase of the stride (two steps, 2 pi); at 0 the right leg passes under the hips, moving forward."""
    both = np.array([phase_rad, phase_rad + np.pi])
    swing = np.clip(np.cos(both + 0.45), 0, None) ** 1.3
    if running:
        thigh, knee = 0.25 + 0.75 * np.sin(both), 0.3 + 1.6 * swing
        arm, elbow = -0.1 - 0.75 * np.sin(both), np.array([1.5, 1.5])
        lean, lift = 0.17, 0.13 * abs(float(np.sin(phase_rad)))
    else:
        thigh, knee = 0.06 + 0.45 * np.sin(both), 0.08 + 1.0 * swing
        arm, elbow = -0.42 * np.sin(both), 0.3 + 0.2 * np.clip(-np.sin(both), 0, None)
        lean, lift = 0.05, 0.0
    return Pose(_pair(thigh), _pair(knee), _pair(arm), _pair(elbow), lean, lift)


def _pair(values: Points) -> tuple[float, float]:
    return (float(values[0]), float(values[1]))


SEATED = Pose((1.95, 1.85), (2.4, 2.3), (0.75, 0.7), (0.9, 0.9), 0.3)
"""On the heels with the knees before the chest, 1.1 m tall."""


def sitting_pose(seated: float) -> Pose:
    """The pose between standing (0) and SEATED (1)."""

    def between(start: tuple[float, float], end: tuple[float, float]) -> tuple[float, float]:
        return _pair(np.asarray(start) * (1 - seated) + np.asarray(end) * seated)

    up, down = Pose(), SEATED
    return Pose(
        between(up.thigh, down.thigh), between(up.knee, down.knee), between(up.arm, down.arm),
        between(up.elbow, down.elbow), up.lean + seated * (down.lean - up.lean),
    )  # fmt: skip


ON_FOOT: tuple[Pose, ...] = (
    Pose(),
    *(gait_pose(2 * np.pi * i / POSES_PER_CYCLE, running=False) for i in range(POSES_PER_CYCLE)),
    *(gait_pose(2 * np.pi * i / POSES_PER_CYCLE, running=True) for i in range(POSES_PER_CYCLE)),
)
POSES = ON_FOOT + tuple(sitting_pose((i + 1) / SITTING_DOWN_POSES) for i in range(SITTING_DOWN_POSES))


def pose_index(phase_rad: float, speed_m_s: float, seated: float = 0.0) -> int:
    """The index in POSES for a phase of the stride, a speed, and seated from 0 (not) to 1."""
    if step_down := round(seated * SITTING_DOWN_POSES):
        return len(ON_FOOT) + step_down - 1
    if speed_m_s < 0.15:
        return 0
    step = int(phase_rad / (2 * np.pi) * POSES_PER_CYCLE) % POSES_PER_CYCLE
    return 1 + step + (POSES_PER_CYCLE if speed_m_s >= RUN_FROM_M_S else 0)


def body_meshes(pose: Pose) -> dict[str, Mesh]:
    """The meshes of one pose by name: a part of PARTS, or 'part/style' if the part has styles."""
    meshes = {**_upper_body(), **_arms(pose)}
    meshes = {name: _leaned(mesh, pose.lean) for name, mesh in meshes.items()}
    meshes |= _legs(pose)
    meshes["skin"] = merged([meshes.pop("head"), meshes.pop("hands")])
    ground = float(meshes["shoes"].vertices_m[:, 2].min())
    return {name: mesh.moved((0.0, 0.0, pose.lift_m - ground)) for name, mesh in meshes.items()}


def _leaned(mesh: Mesh, lean: float) -> Mesh:
    c, s = np.cos(lean), np.sin(lean)
    x, y, z = (mesh.vertices_m - [0, 0, _HIP_M]).T
    return Mesh(np.column_stack([c * x + s * z, y, c * z - s * x + _HIP_M]), mesh.faces)


def _upper_body() -> dict[str, Mesh]:
    neck = stacked_ellipses([(1.42, -0.005, 0.05, 0.055), (1.50, 0.0, 0.048, 0.05), (1.57, 0.01, 0.05, 0.05)], 8)
    head = stacked_ellipses(
        [(1.505, 0.035, 0.03, 0.03), (1.53, 0.025, 0.07, 0.05), (1.58, 0.018, 0.088, 0.066), (1.64, 0.01, 0.095, 0.075),
         (1.69, 0.0, 0.09, 0.074), (1.735, -0.008, 0.06, 0.055), (1.75, -0.01, 0.02, 0.02)], 12,
    )  # fmt: skip
    nose = ellipsoid((0.108, 0.0, 1.615), (0.016, 0.014, 0.026), 4, 6)
    shoulders = [(1.40, -0.005, 0.098, 0.185), (1.445, -0.01, 0.085, 0.165), (1.48, -0.01, 0.062, 0.085)]
    chest = [(1.06, 0.0, 0.092, 0.125), (1.16, 0.005, 0.1, 0.135), (1.29, 0.01, 0.115, 0.16), *shoulders]
    return {
        "head": merged([neck, head, nose]),
        "top/shirt": stacked_ellipses([(0.94, 0.0, 0.108, 0.158), (0.98, 0.0, 0.11, 0.158), *chest]),
        "top/tunic": stacked_ellipses([(0.74, 0.01, 0.15, 0.2), (0.9, 0.005, 0.132, 0.18), *chest]),
        "top/jacket": stacked_ellipses(
            [(0.84, 0.0, 0.13, 0.18), (0.95, 0.0, 0.132, 0.176), (1.12, 0.0, 0.128, 0.165), (1.3, 0.0, 0.132, 0.182),
             (1.41, -0.005, 0.112, 0.198), (1.46, -0.01, 0.095, 0.17), (1.51, -0.015, 0.075, 0.09)],
        ),
        **_hair(),
    }  # fmt: skip


def _hair() -> dict[str, Mesh]:
    cap = ellipsoid((-0.016, 0.0, 1.672), (0.104, 0.09, 0.102))
    fall = stacked_ellipses(
        [(1.36, -0.095, 0.03, 0.07), (1.42, -0.085, 0.055, 0.115), (1.5, -0.06, 0.075, 0.13), (1.6, -0.035, 0.09, 0.12),
         (1.68, -0.02, 0.095, 0.105)], 12,
    )  # fmt: skip
    return {
        "hair/short": cap,
        "hair/long": merged([ellipsoid((-0.02, 0.0, 1.665), (0.118, 0.11, 0.115)), fall]),
        "hair/tail": merged([cap, tube([(-0.1, 0, 1.69), (-0.15, 0, 1.63), (-0.14, 0, 1.5)], [0.035, 0.04, 0.02], 7)]),
        "hair/cap": merged([cap, ellipsoid((0.09, 0.0, 1.69), (0.075, 0.07, 0.012), 4, 8)]),
    }


def _arms(pose: Pose) -> dict[str, Mesh]:
    upper, lower, hands = [], [], []
    for side, swing, bend in zip((-1.0, 1.0), pose.arm, pose.elbow, strict=True):
        shoulder = np.array([-0.005, side * 0.185, _SHOULDER_M - 0.02])
        elbow = shoulder + _UPPER_ARM_M * np.array([np.sin(swing), side * 0.16, -np.cos(swing)])
        reach = swing + bend
        along = np.array([np.sin(reach), -side * 0.04, -np.cos(reach)])
        wrist = elbow + _FOREARM_M * along
        upper.append(tube([shoulder, (shoulder + elbow) / 2, elbow], [0.056, 0.05, 0.042]))
        lower.append(tube([elbow, (elbow * 2 + wrist) / 3, wrist], [0.043, 0.042, 0.03]))
        hands.append(tube([wrist, wrist + 0.07 * along, wrist + 0.14 * along], [0.03, 0.04, 0.022], 6))
    return {"sleeves": merged(upper), "forearms": merged(lower), "hands": merged(hands)}


def _legs(pose: Pose) -> dict[str, Mesh]:
    thighs, calves, shoes, knees = [], [], [], []
    for side, swing, bend in zip((-1.0, 1.0), pose.thigh, pose.knee, strict=True):
        hip = np.array([0.0, side * 0.085, _HIP_M])
        knee = hip + _THIGH_M * np.array([np.sin(swing), 0.0, -np.cos(swing)])
        shank = swing - bend
        ankle = knee + _SHANK_M * np.array([np.sin(shank), -side * 0.03, -np.cos(shank)])
        thighs.append(tube([hip - np.array([0, 0, 0.06]), (hip + knee) / 2, knee], [0.086, 0.08, 0.06]))
        calves.append(tube([knee, knee * 0.7 + ankle * 0.3 - np.array([0.008, 0, 0]), ankle], [0.058, 0.06, 0.04]))
        shoes.append(_shoe(ankle, 0.75 * shank + 0.05))
        knees.append(knee)
    hips = stacked_ellipses(
        [(0.81, 0.0, 0.09, 0.13), (0.87, 0.0, 0.105, 0.16), (0.95, 0.0, 0.1, 0.15), (1.0, 0.0, 0.08, 0.125)]
    )
    reach = max(abs(float(knee[0])) for knee in knees)
    centre = float(np.mean([knee[0] for knee in knees]))
    skirt = stacked_ellipses(
        [(0.58, centre, 0.12 + reach * 0.75, 0.2), (0.75, centre * 0.6, 0.12 + reach * 0.4, 0.19),
         (0.9, 0.0, 0.115, 0.172), (1.06, 0.0, 0.092, 0.125)],
    )  # fmt: skip
    return {
        "bottom/trousers": merged([hips, *thighs]),
        "bottom/skirt": skirt,
        "calves": merged(calves),
        "shoes": merged(shoes),
    }


def _shoe(ankle_m: Points, pitch: float) -> Mesh:
    sections = [(-0.075, 0.035, 0.03), (-0.02, 0.042, 0.05), (0.07, 0.042, 0.035), (0.15, 0.04, 0.022)]
    angle = np.arange(8) * 2 * np.pi / 8
    rings = np.array(
        [np.stack([np.full(8, x), w * np.cos(angle), h * np.sin(angle) - 0.065 + h], 1) for x, w, h in sections]
    )
    c, s = np.cos(-pitch), np.sin(-pitch)
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    mesh = loft(rings)
    return Mesh(mesh.vertices_m @ turn.T + ankle_m, mesh.faces)
