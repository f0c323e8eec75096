"""Images of the world from a pinhole camera: colour, labels and depth of the same pixels."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcn_follow.errors import UserError
from fcn_follow.geometry import CameraIntrinsics
from fcn_follow.simulation.graphics import NOTHING_TO_DRAW_WITH, mujoco
from fcn_follow.simulation.outfits import Outfit
from fcn_follow.simulation.people import PARTS
from fcn_follow.simulation.world import MAX_PEOPLE, World

BACKGROUND, OTHER_PERSON, HERO = 0, 1, 2
_SHOWN_GROUP, _HIDDEN_GROUP = 0, 5


@dataclass(frozen=True)
class CameraPose:
    """A camera's position and orientation: `rotation` has as columns the optical axes x right, y down, z forward."""

    position_m: NDArray[np.float64]
    rotation: NDArray[np.float64]


@dataclass(frozen=True)
class Light:
    """The sun and the light of the sky; strengths are factors on a surface's colour."""

    sun_azimuth_rad: float = 0.8
    sun_elevation_rad: float = 0.9
    sun: tuple[float, float, float] = (0.62, 0.61, 0.58)
    ambient: tuple[float, float, float] = (0.5, 0.5, 0.52)
    shadows: bool = True


@dataclass(frozen=True)
class PersonView:
    """One person to draw: feet at `position_m`, facing `yaw_rad`, in one of people.POSES; `label` is the class."""

    position_m: tuple[float, float, float]
    yaw_rad: float
    pose: int
    outfit: Outfit
    label: int = OTHER_PERSON


@dataclass(frozen=True)
class Picture:
    """`rgb` uint8 (H, W, 3); `labels` uint8 (H, W): 0 background, 1 other people, 2 hero; `depth_m` float32 (H, W)."""

    rgb: NDArray[np.uint8]
    labels: NDArray[np.uint8] | None
    depth_m: NDArray[np.float32] | None


def look(position_m: Sequence[float], yaw_rad: float, pitch_down_rad: float, roll_rad: float = 0.0) -> CameraPose:
    """The pose of a camera that looks along `yaw_rad`, down by `pitch_down_rad`, rolled to the right by `roll_rad`."""
    cy, sy, cp, sp = np.cos(yaw_rad), np.sin(yaw_rad), np.cos(pitch_down_rad), np.sin(pitch_down_rad)
    forward = np.array([cy * cp, sy * cp, -sp])
    level = np.array([sy, -cy, 0.0])
    down = np.cross(forward, level)
    right = np.cos(roll_rad) * level + np.sin(roll_rad) * down
    return CameraPose(
        np.asarray(position_m, dtype=np.float64), np.column_stack([right, np.cross(forward, right), forward])
    )


class Renderer(AbstractContextManager["Renderer"]):
    """Draws a world at one size. Close it, or use `with`: it holds a drawing context.

    Raises UserError if neither OSMesa nor EGL works.
    """

    def __init__(self, world: World, width_px: int, height_px: int) -> None:
        self.world = world
        self._model = world.model
        self._model.vis.global_.offwidth, self._model.vis.global_.offheight = width_px, height_px
        self._viewport = mujoco.MjrRect(0, 0, width_px, height_px)
        self._context_of_gl, self._context = _drawing_context(self._model, width_px, height_px)
        self._data = mujoco.MjData(self._model)
        mujoco.mj_forward(self._model, self._data)
        self._scene = mujoco.MjvScene(self._model, maxgeom=self._model.ngeom + 10)
        self._option = mujoco.MjvOption()
        self._free_camera = mujoco.MjvCamera()
        self._label_of_geom = np.zeros(self._model.ngeom + 1, np.uint8)
        self._mesh_turn = _rotations(self._model.mesh_quat)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._context.free()
        self._context_of_gl.free()

    def render(
        self,
        intrinsics: CameraIntrinsics,
        camera: CameraPose,
        people: Sequence[PersonView],
        light: Light,
        labels: bool = False,
        depth: bool = False,
    ) -> Picture:
        """Draw an image; of `people` only the MAX_PEOPLE nearest are shown."""
        self._place(people, camera)
        self._set_light(light, camera)
        mujoco.mjv_updateScene(
            self._model, self._data, self._option, None, self._free_camera, mujoco.mjtCatBit.mjCAT_ALL, self._scene
        )
        self._aim(intrinsics, camera)
        flags = self._scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SHADOW] = light.shadows
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = False
        shape = (self._viewport.height, self._viewport.width)
        rgb = np.empty((*shape, 3), np.uint8)
        self._context_of_gl.make_current()
        mujoco.mjr_render(self._viewport, self._scene, self._context)
        mujoco.mjr_readPixels(rgb, None, self._viewport, self._context)
        if not (labels or depth):
            return Picture(rgb[::-1], None, None)
        coded, raw_depth = self._draw_segments(depth)
        return Picture(rgb[::-1], self._labels(coded) if labels else None, self._metres(raw_depth) if depth else None)

    def labels(self) -> NDArray[np.uint8]:
        """The labels (H, W) of the image that was drawn last."""
        return self._labels(self._draw_segments(depth=False)[0])

    def _draw_segments(self, depth: bool) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """MuJoCo's segmentation colours of the scene, and the depth buffer where it is wanted."""
        flags = self._scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = True
        shape = (self._viewport.height, self._viewport.width)
        coded, raw_depth = np.empty((*shape, 3), np.uint8), np.empty(shape, np.float32)
        mujoco.mjr_render(self._viewport, self._scene, self._context)  # without the sky, which then has no depth
        mujoco.mjr_readPixels(coded, raw_depth if depth else None, self._viewport, self._context)
        return coded[::-1], raw_depth[::-1]

    def _labels(self, coded: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Classes from MuJoCo's segmentation colours, which are the geom's number in the scene plus one."""
        segment = coded.astype(np.int32) @ np.array([1, 256, 65536], np.int32)
        label_of_segment = np.zeros(self._scene.ngeom + 2, np.uint8)
        for index in range(self._scene.ngeom):
            geom = self._scene.geoms[index]
            if geom.segid >= 0:
                label_of_segment[geom.segid + 1] = self._label_of_geom[geom.objid]
        return label_of_segment[segment]

    def _metres(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        """Distance along the optical axis from the depth buffer; 0 for the sky."""
        near, far = self._model.vis.map.znear, self._model.vis.map.zfar
        metres = near * far / (far - raw * (far - near))
        return np.where(raw < 1.0, metres, 0.0).astype(np.float32)

    def _place(self, people: Sequence[PersonView], camera: CameraPose) -> None:
        def squared_distance(person: PersonView) -> float:
            offset = np.subtract(person.position_m, camera.position_m)
            return float(offset @ offset)

        shown = sorted(people, key=squared_distance)[:MAX_PEOPLE]
        geoms = self.world.part_geoms
        self._model.geom_group[geoms.ravel()] = _HIDDEN_GROUP
        for place, person in enumerate(shown):
            self._place_one(geoms[place], person)

    def _place_one(self, geoms: NDArray[np.int64], person: PersonView) -> None:
        outfit = person.outfit
        meshes = self.world.mesh_ids[person.pose]
        self._label_of_geom[geoms] = person.label
        c, s = np.cos(person.yaw_rad), np.sin(person.yaw_rad)
        turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]) * np.array(outfit.scale)
        for geom, part in zip(geoms, PARTS, strict=True):
            mesh = meshes.get(outfit.mesh_name(part))
            if mesh is None:
                continue
            self._model.geom_group[geom] = _SHOWN_GROUP
            self._model.geom_dataid[geom] = mesh
            self._model.geom_rgba[geom, :3] = getattr(outfit, part)
            self._data.geom_xpos[geom] = person.position_m + turn @ self._model.mesh_pos[mesh]
            self._data.geom_xmat[geom] = (turn @ self._mesh_turn[mesh]).ravel()

    def _set_light(self, light: Light, camera: CameraPose) -> None:
        c, s = np.cos(light.sun_elevation_rad), np.sin(light.sun_elevation_rad)
        towards_sun = np.array([c * np.cos(light.sun_azimuth_rad), c * np.sin(light.sun_azimuth_rad), s])
        focus = camera.position_m + camera.rotation[:, 2] * 9.0
        focus[2] = 0.0
        self._data.light_xdir[0] = -towards_sun
        self._data.light_xpos[0] = focus + towards_sun * 6.0
        self._model.light_diffuse[0] = light.sun
        self._model.light_ambient[0] = self._model.light_specular[0] = 0.0
        self._model.vis.headlight.ambient = light.ambient
        self._model.light_castshadow[0] = light.shadows

    def _aim(self, intrinsics: CameraIntrinsics, camera: CameraPose) -> None:
        near, far = float(self._model.vis.map.znear), float(self._model.vis.map.zfar)
        scale_x, scale_y = near / intrinsics.fx_px, near / intrinsics.fy_px
        for eye in self._scene.camera:
            eye.pos = camera.position_m
            eye.forward = camera.rotation[:, 2]
            eye.up = -camera.rotation[:, 1]
            eye.frustum_near, eye.frustum_far = near, far
            eye.frustum_width = intrinsics.width_px / 2 * scale_x
            eye.frustum_center = ((intrinsics.width_px - 1) / 2 - intrinsics.cx_px) * scale_x
            eye.frustum_top = (intrinsics.cy_px + 0.5) * scale_y
            eye.frustum_bottom = -(intrinsics.height_px - 0.5 - intrinsics.cy_px) * scale_y


def _drawing_context(
    model: mujoco.MjModel, width_px: int, height_px: int
) -> tuple[mujoco.GLContext, mujoco.MjrContext]:
    try:
        gl = mujoco.GLContext(width_px, height_px)
        gl.make_current()
        context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
    except Exception as error:
        raise UserError(f"{NOTHING_TO_DRAW_WITH} ({type(error).__name__}: {error})") from error
    mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, context)
    return gl, context


def _rotations(quaternions_wxyz: NDArray[np.float64]) -> NDArray[np.float64]:
    out = np.empty((len(quaternions_wxyz), 9))
    for row, quaternion in zip(out, quaternions_wxyz, strict=True):
        mujoco.mju_quat2Mat(row, quaternion)
    return out.reshape(-1, 3, 3)
