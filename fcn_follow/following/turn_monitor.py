"""Detects a picture that does not turn with the drone: it is mirrored, or its stamps are wrong.

The hero's direction in the world is the drone's yaw plus the hero's bearing in the camera. A person changes it
smoothly. With the mirrored bearing, or with the yaw of another moment, the drone's own turns remain in it. One Kalman
filter for each hypothesis predicts the direction, and the hypothesis with the smallest innovations is the likeliest one
(the static multiple-model estimator: Magill, "Optimal adaptive estimation of sampled stochastic processes", 1965).

Only turns of changing rate show it, and only turns that do not follow the hero: a hero who runs to and fro would look
like a latency. So the drone makes a small turn at the beginning of each flight, and only that is judged.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from fcn_follow.coordinates import wrapped
from fcn_follow.following.reasons import Reason
from fcn_follow.following.vehicle import VehicleHistory
from fcn_follow.geometry import Vector3

LATENCIES_S = np.arange(-4, 11) / 10.0  # of the picture against the yaw; negative: the yaw is late
MAX_EARLY_S = -float(LATENCIES_S[0])
HYPOTHESES = tuple((mirrored, float(latency_s)) for mirrored in (False, True) for latency_s in LATENCIES_S)
MAX_HARMLESS_S = 0.15
HARMLESS = np.array([not mirrored and abs(latency_s) < MAX_HARMLESS_S for mirrored, latency_s in HYPOTHESES])
MIN_DANGEROUS_S = 0.35
MIRRORED = np.array([mirrored and abs(latency_s) < MIN_DANGEROUS_S for mirrored, latency_s in HYPOTHESES])
LATE = np.array([not mirrored and abs(latency_s) > MIN_DANGEROUS_S for mirrored, latency_s in HYPOTHESES])
SIGNS = np.array([-1.0 if mirrored else 1.0 for mirrored, _ in HYPOTHESES])
BEARING_SIGMA_RAD = 0.03  # larger than the noise of one frame, because the errors of successive frames are alike
HERO_ACCELERATION_M2_S3 = 0.7  # spectral density: 1.2 m/s2 for half a second
HERO_SPEED_M_S = 2.0
MIN_RANGE_M = 2.0
MAX_SQUARED_SIGMAS = 9.0  # of one innovation: another person may be taken for the hero
MAX_GAP_S = 0.5
MIN_EVIDENCE = 15.0  # logarithm of the likelihood ratio; sound flights reach 2
MAX_WAITING = 64
CHECK_ALONE_S, CHECK_S = 1.2, 2.0  # the drone turns towards the hero after the first
CHECK_RAD_S = 0.4
TURN_HZ, SLOWING_HZ_S = 1.35, 0.175  # twice to and fro, ever slower: a turn of one period would fit a delay of a period
SLOWER = 0.5  # of the repeated checks, whose turns are larger: about 7 degrees instead of 4
JUDGED_S = 3.5  # from the beginning of the check on, for a drone that turns late
MIN_PROOF = 5.0  # the same logarithm, against all dangerous hypotheses
MAX_CHECKS = 3


class TurnMonitor:
    """Call `see` with each hero position and `step` at each step; `fault` lasts until `reset`.

    The check is repeated until its turn has proven the picture right, MAX_CHECKS times at most.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything; the drone is checked again."""
        self.fault = ""
        self.is_checked = False
        self._checks = 0
        self.restart()

    def restart(self) -> None:
        """Forget the directions and a check that has not ended, because the yaw has another origin."""
        self._waiting: deque[tuple[float, float, float]] = deque(maxlen=MAX_WAITING)
        self._last_s = -math.inf
        self._abort()

    def _abort(self) -> None:
        self._begin_s = math.inf
        self._cost = np.zeros(len(HYPOTHESES))

    @property
    def gave_up(self) -> bool:
        """Whether no check has proven anything."""
        return self._checks >= MAX_CHECKS and not self.is_checked and math.isinf(self._begin_s)

    @property
    def is_due(self) -> bool:
        """Whether the picture has not been checked yet."""
        return not self.is_checked and not self.gave_up

    def age_s(self, now_s: float) -> float:
        """The time since the beginning of the check; negative without one."""
        return now_s - self._begin_s

    def report(self, now_s: float) -> str:
        """What the user should know about the check; else empty."""
        if self.gave_up:
            return Reason.NOT_CHECKED
        return Reason.CHECKING_TURNS if 0.0 <= self.age_s(now_s) < CHECK_S else ""

    def turn_rad_s(self, now_s: float) -> float:
        """The yaw rate (rad/s) of the check."""
        age_s = self.age_s(now_s)
        turns = (TURN_HZ - SLOWING_HZ_S * age_s) * age_s * (1.0 if self._checks <= 1 else SLOWER)
        return CHECK_RAD_S * math.sin(math.tau * turns) if 0.0 <= age_s < CHECK_S else 0.0

    def see(self, stamp_s: float, position_level_m: Vector3) -> None:
        """Take a hero position from the camera, in axes that turn with the drone and are level: forward, left, up."""
        forward, left, _ = position_level_m
        if self.is_due:
            self._waiting.append((stamp_s, math.atan2(left, forward), math.hypot(forward, left)))

    def step(self, now_s: float, is_tracking: bool, history: VehicleHistory, is_measured: bool) -> None:
        """Begin or end the check, and judge the positions for which the poses are known.

        is_measured: the poses come from odometry. Poses that are reckoned from the commands show no latency, because
        the drone may turn sooner or later than vehicle.response_s says.
        """
        while self._waiting and history.newest and history.newest.stamp_s >= self._waiting[0][0] + MAX_EARLY_S:
            self._judge(*self._waiting.popleft(), history)
        if self.age_s(now_s) >= JUDGED_S + MAX_EARLY_S:
            dangerous = MIRRORED | LATE if is_measured else MIRRORED
            proof = float(np.min(self._cost[dangerous]) - np.min(self._cost[HARMLESS])) / 2.0
            self.is_checked = proof >= MIN_PROOF
            self._abort()
        elif 0.0 <= self.age_s(now_s) < CHECK_S and not is_tracking:
            self._checks -= 1
            self._abort()
        is_known = history.oldest is not None and history.oldest.stamp_s <= now_s - float(LATENCIES_S[-1])
        if is_tracking and is_known and self.is_due and math.isinf(self._begin_s):
            self._begin_s = now_s
            self._checks += 1
        best = int(np.argmin(self._cost))
        if self.fault or float(np.min(self._cost[HARMLESS]) - self._cost[best]) / 2.0 < MIN_EVIDENCE:
            return
        mirrored, latency_s = HYPOTHESES[best]
        if mirrored:
            self.fault = Reason.PICTURE_MIRRORED
        elif is_measured:
            reason = Reason.PICTURE_LATE if latency_s > 0.0 else Reason.ODOMETRY_LATE
            self.fault = reason.with_figures(abs(latency_s))

    def _judge(self, stamp_s: float, bearing_rad: float, range_m: float, history: VehicleHistory) -> None:
        """Add the innovations of a bearing to the costs of the hypotheses."""
        poses = history.since(stamp_s - float(LATENCIES_S[-1]) - MAX_GAP_S)
        if stamp_s <= self._last_s or not poses or poses[0].stamp_s > stamp_s - float(LATENCIES_S[-1]):
            return
        stamps_s, yaws_rad = [pose.stamp_s for pose in poses], np.unwrap([pose.yaw_rad for pose in poses])
        yaw_rad = np.interp(stamp_s - LATENCIES_S, stamps_s, yaws_rad)
        direction_rad = np.tile(yaw_rad, 2) + SIGNS * bearing_rad
        dt_s, self._last_s = stamp_s - self._last_s, stamp_s
        range_m = max(range_m, MIN_RANGE_M)
        if dt_s > MAX_GAP_S:
            self._angle_rad, self._rate_rad_s = direction_rad, np.zeros(len(HYPOTHESES))
            self._covariance = np.diag([BEARING_SIGMA_RAD**2, (HERO_SPEED_M_S / range_m) ** 2])
            return
        density = HERO_ACCELERATION_M2_S3 / range_m**2
        move = np.array([[1.0, dt_s], [0.0, 1.0]])
        noise = density * np.array([[dt_s**3 / 3.0, dt_s**2 / 2.0], [dt_s**2 / 2.0, dt_s]])
        covariance = move @ self._covariance @ move.T + noise
        variance = covariance[0, 0] + BEARING_SIGMA_RAD**2
        gain = covariance[:, 0] / variance
        expected_rad = self._angle_rad + self._rate_rad_s * dt_s
        innovation_rad = np.array([wrapped(angle) for angle in direction_rad - expected_rad])
        self._angle_rad = expected_rad + gain[0] * innovation_rad
        self._rate_rad_s = self._rate_rad_s + gain[1] * innovation_rad
        self._covariance = covariance - np.outer(gain, covariance[0])
        if 0.0 <= self.age_s(stamp_s) < JUDGED_S:
            self._cost += np.minimum(innovation_rad**2 / variance, MAX_SQUARED_SIGMAS)
