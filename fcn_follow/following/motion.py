"""The motion of a person, filtered: three Kalman filters that exchange their states, and the swing of the steps.

A person mostly keeps a velocity or stands, and now and then turns, starts or stops. One filter with the noise of all
these would either be slow in a turn or follow every measurement's noise. So three are joined in an interacting
multiple model (Bar-Shalom, Li, Kirubarajan, "Estimation with Applications to Tracking and Navigation", 11.6.6):
walking on, turning, and standing, where the velocity decays. The process noise of each is white acceleration (6.2.2).

With each step the apparent height of a person, and so the measured range, changes by a few percent, twice a second.
This swing is a part of the state, a damped oscillation driven by noise, so that it is no motion of the hero.

The state: position (3) and velocity (3) in odom, the swing as a share of the range, and its rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from fcn_follow.following.parameters import EstimatorParameters
from fcn_follow.geometry import Vector3

Array = npt.NDArray[np.float64]

SWING_RAD_S, SWING_DAMPING = 2.0 * math.pi * 2.2, 0.25
"""Steps of a walker come 1.9 times a second, of a runner 2.7 times."""
MODES = 3
TURNING, STANDING = 1, 2  # 0 is a person who walks on
CHANGES_1_S = np.array(((0.0, 0.25, 0.02), (1.25, 0.0, 0.5), (0.0, 1.0, 0.0)))
"""How often one mode (rows) becomes another (columns): people walk on for about 4 s, and start or stop by turning."""
STANDING_SWING = 0.2
"""The swing of a standing person, as a share of a walker's."""
STOPPING_S = 0.2
"""The time constant with which the velocity of a standing person decays."""
MAX_CHANGE_S = 0.05
MIN_PROBABILITY = 1e-3
START_SPEED_SIGMA_M_S, START_CLIMB_VARIANCE = 2.0, 0.25
STATE = 8
SWING = slice(6, 8)


@dataclass(frozen=True)
class Measurement:
    """A position in odom (3), its covariance (3 x 3), the ray (3) from the camera to it, and its variance in all.

    The covariance is without the swing, the variance (m^2, over the three axes) with it.
    """

    stamp_s: float
    position: Array
    covariance: Array
    ray: Array
    variance_m2: float

    @classmethod
    def of(cls, stamp_s: float, position_m: Vector3, camera_m: Vector3, parameters: EstimatorParameters) -> Measurement:
        """The measurement by a camera at camera_m: its noise lies along the ray and grows with its length."""
        position = np.array(position_m)
        ray = position - camera_m
        distance = math.sqrt(float(ray @ ray))
        base = parameters.base_noise_m**2
        across = base + (parameters.angle_noise_rad * distance) ** 2
        along = base + (parameters.range_noise * distance) ** 2
        covariance = across * np.eye(3)
        if distance > 0.0:
            covariance += (along - across) / distance**2 * np.outer(ray, ray)
        variance_m2 = float(np.trace(covariance)) + (parameters.swing_noise * distance) ** 2
        return cls(stamp_s, position, covariance, ray, variance_m2)

    @property
    def matrix(self) -> Array:
        """From the state to the measured position, 3 x 8."""
        matrix = np.zeros((3, STATE))
        matrix[:, :3] = np.eye(3)
        matrix[:, 6] = self.ray
        return matrix


@dataclass(frozen=True)
class Motion:
    """The means (3 x 8) and covariances (3 x 8 x 8) of the modes, and their probabilities (3)."""

    stamp_s: float
    means: Array
    covariances: Array
    probabilities: Array

    @cached_property
    def mean(self) -> Array:
        """Of all modes together, 8."""
        mean: Array = self.probabilities @ self.means
        return mean

    @cached_property
    def covariance(self) -> Array:
        """Of all modes together, 8 x 8."""
        covariance: Array = self._mixed(self.probabilities[None], self.mean[None])[0]
        return covariance

    def at(self, stamp_s: float, parameters: EstimatorParameters) -> Motion:
        """The prediction for a later stamp."""
        dt_s = stamp_s - self.stamp_s
        change = _mode_change(dt_s)
        probabilities = self.probabilities @ change
        weights = (change * self.probabilities[:, None] / probabilities).T
        means = weights @ self.means
        steps = np.stack([_transition(dt_s, mode) for mode in range(MODES)])
        covariances = steps @ self._mixed(weights, means) @ steps.transpose(0, 2, 1)
        covariances += np.stack([_noise(dt_s, mode, parameters, steps[0]) for mode in range(MODES)])
        return Motion(stamp_s, np.einsum("mij,mj->mi", steps, means), covariances, probabilities)

    def updated(self, measurement: Measurement) -> Motion:
        """This prediction for the measurement's stamp, corrected by it."""
        matrix = measurement.matrix
        innovations = measurement.position - self.means @ matrix.T
        spreads = matrix @ self.covariances @ matrix.T + measurement.covariance
        gains = np.linalg.solve(spreads, matrix @ self.covariances).transpose(0, 2, 1)
        covariances = self.covariances - gains @ matrix @ self.covariances
        misfits = np.einsum("mi,mi->m", innovations, np.linalg.solve(spreads, innovations[..., None])[..., 0])
        fits = -0.5 * (misfits + np.log(np.linalg.det(spreads)))
        likely = self.probabilities * np.exp(fits - fits.max())
        probabilities = np.maximum(likely / likely.sum(), MIN_PROBABILITY)
        return Motion(
            self.stamp_s,
            self.means + np.einsum("mij,mj->mi", gains, innovations),
            (covariances + covariances.transpose(0, 2, 1)) / 2,
            probabilities / probabilities.sum(),
        )

    def distance_sigma(self, measurement: Measurement) -> float:
        """The Mahalanobis distance of a measurement from this prediction for its stamp."""
        matrix = measurement.matrix
        innovation = measurement.position - matrix @ self.mean
        spread = matrix @ self.covariance @ matrix.T + measurement.covariance
        return math.sqrt(float(innovation @ np.linalg.solve(spread, innovation)))

    def _mixed(self, weights: Array, means: Array) -> Array:
        """The covariances (n x 8 x 8) of mixtures of the modes with weights (n x 3) and these means (n x 8)."""
        off = self.means[None] - means[:, None]
        mixed: Array = np.einsum("nm,mij->nij", weights, self.covariances) + np.einsum(
            "nm,nmi,nmj->nij", weights, off, off
        )
        return mixed


def begin(measurement: Measurement, parameters: EstimatorParameters) -> Motion:
    """The motion of a hero from the first measurement."""
    mean = np.zeros(STATE)
    mean[:3] = measurement.position
    covariance = np.zeros((STATE, STATE))
    covariance[:3, :3] = measurement.covariance
    covariance[3, 3] = covariance[4, 4] = START_SPEED_SIGMA_M_S**2
    covariance[5, 5] = START_CLIMB_VARIANCE
    covariance[SWING, SWING] = _swing_covariance(parameters.swing_noise)
    return Motion(
        measurement.stamp_s, np.stack([mean] * MODES), np.stack([covariance] * MODES), np.full(MODES, 1 / MODES)
    )


def _mode_change(dt_s: float) -> Array:
    """The probability of each mode (columns) after another (rows) and dt_s: a Markov process, in short steps."""
    steps = max(1, math.ceil(dt_s / MAX_CHANGE_S))
    step = np.eye(MODES) + (CHANGES_1_S - np.diag(CHANGES_1_S.sum(1))) * (dt_s / steps)
    change: Array = np.linalg.matrix_power(step, steps)
    return change


def _transition(dt_s: float, mode: int) -> Array:
    transition = np.eye(STATE)
    transition[0, 3] = transition[1, 4] = transition[2, 5] = dt_s
    if mode == STANDING:
        kept = math.exp(-dt_s / STOPPING_S)
        transition[0, 3] = transition[1, 4] = STOPPING_S * (1.0 - kept)
        transition[3, 3] = transition[4, 4] = kept
    damped_rad_s = SWING_RAD_S * math.sqrt(1.0 - SWING_DAMPING**2)
    decay = math.exp(-SWING_DAMPING * SWING_RAD_S * dt_s)
    cos, sin = decay * math.cos(damped_rad_s * dt_s), decay * math.sin(damped_rad_s * dt_s)
    share = SWING_DAMPING * SWING_RAD_S / damped_rad_s
    transition[6, 6], transition[6, 7] = cos + share * sin, sin / damped_rad_s
    transition[7, 6], transition[7, 7] = -(SWING_RAD_S**2) / damped_rad_s * sin, cos - share * sin
    return transition


def _noise(dt_s: float, mode: int, parameters: EstimatorParameters, transition: Array) -> Array:
    """The process noise of a mode; that of the swing keeps its covariance as it is."""
    noise = np.zeros((STATE, STATE))
    lively = mode == TURNING
    horizontal = (parameters.acceleration_m_s2 if lively else parameters.steady_acceleration_m_s2) ** 2
    vertical = parameters.vertical_acceleration_m_s2**2
    for axis, density in enumerate((horizontal, horizontal, vertical)):
        noise[axis, axis] = density * dt_s**3 / 3
        noise[axis, axis + 3] = noise[axis + 3, axis] = density * dt_s**2 / 2
        noise[axis + 3, axis + 3] = density * dt_s
    swing_noise = parameters.swing_noise * (STANDING_SWING if mode == STANDING else 1.0)
    kept, swing = _swing_covariance(swing_noise), transition[SWING, SWING]
    noise[SWING, SWING] = kept - swing @ kept @ swing.T
    return noise


def _swing_covariance(swing_noise: float) -> Array:
    covariance: Array = swing_noise**2 * np.diag((1.0, SWING_RAD_S**2))
    return covariance
