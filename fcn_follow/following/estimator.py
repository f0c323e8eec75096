"""The hero's position and velocity: the filter of motion.py, a gate before it, and predictions through occlusions.

A measurement has the stamp of its image; a late one is inserted in order and the later ones are applied again. A
measurement outside the gate is an outlier. It becomes the new hero only after repeated measurements along a path that a
person can walk.

A prediction through an occlusion follows the straight line through the last two seconds, because the noise of the last
measurements hardly turns that line.

At the end of an occlusion a hero is visible in part, looks shorter and so farther away. For a moment after a gap the
distance of a measurement is therefore limited to the expected one; its direction is kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from fcn_follow.following.motion import Array, Measurement, Motion, begin
from fcn_follow.following.parameters import EstimatorParameters
from fcn_follow.geometry import Vector3

HISTORY_S = 2.0
MAX_REPEATED = 16  # measurements after a late one; more would make a step too slow
LINE_BEGIN_S, LINE_FULL_S = 0.4, 0.8  # unseen time after which a prediction uses the line partly, then only the line
MIN_LINE_S = 1.0
MAX_LINE_SIGMA = 2.5  # a line that differs from the filter by more is not used
PARTIAL_VIEW_S = 0.8  # after a gap of LINE_BEGIN_S
MAX_CANDIDATE_GAP_S = 0.7
MIN_CANDIDATES = 3
STAMP_ROUNDING_S = 1e-6
CONTRADICTION_S = 0.4
MIN_CONTRADICTIONS = 3
SAME_DIRECTION_RAD = 0.2
REACH_SIGMA = 3.0


class Outcome(Enum):
    """The result of a measurement."""

    ACCEPTED = "accepted"
    """It updated the estimate."""
    CONFIRMED = "confirmed"
    """With the candidates before it, it became the new hero."""
    CANDIDATE = "candidate"
    """No hero is known, or the hero is elsewhere: it may be confirmed by later ones."""
    LATE = "late"
    """Its stamp is that of another measurement, older than the history, or before too many newer ones."""
    OUT_OF_REACH = "out of reach"
    """The hero cannot have run there."""


@dataclass(frozen=True)
class HeroEstimate:
    """The hero in odom at a time; position_sigma_m is the standard deviation of the horizontal position."""

    stamp_s: float
    position_odom_m: Vector3
    velocity_odom_m_s: Vector3
    position_sigma_m: float


@dataclass(frozen=True)
class _Belief:
    """The motion after a measurement."""

    measurement: Measurement
    motion: Motion

    @property
    def stamp_s(self) -> float:
        return self.measurement.stamp_s


class HeroEstimator:
    """The filter, its gate and the counters of outcomes; positions in m in odom, stamps in s."""

    def __init__(self, parameters: EstimatorParameters) -> None:
        self.parameters = parameters
        self.accepted = self.outliers = self.late = self.switched = 0
        self._beliefs: list[_Belief] = []
        self._candidates: list[Measurement] = []
        self._out_of_reach_s: list[float] = []
        self._returned_s = -math.inf

    def reset(self) -> None:
        """Forget the hero, but keep the counters."""
        self._beliefs.clear()
        self._candidates.clear()
        self._out_of_reach_s.clear()
        self._returned_s = -math.inf

    @property
    def is_contradicted(self) -> bool:
        """Whether all measurements have been out of reach for a while, so that the estimate must be wrong."""
        stamps_s = self._out_of_reach_s
        return len(stamps_s) >= MIN_CONTRADICTIONS and stamps_s[-1] - stamps_s[0] >= CONTRADICTION_S

    @property
    def stamp_s(self) -> float | None:
        """The stamp of the newest accepted measurement."""
        return self._beliefs[-1].stamp_s if self._beliefs else None

    def observe(self, stamp_s: float, position_m: Vector3, camera_m: Vector3, abandon_s: float) -> Outcome:
        """Take a measurement of the hero from a camera at camera_m.

        After abandon_s without a measurement the gate no longer applies, and the next person seen has to be confirmed;
        a person out of the hero's reach never is.
        """
        measurement = Measurement.of(stamp_s, position_m, camera_m, self.parameters)
        after = [belief for belief in self._beliefs if belief.stamp_s >= stamp_s]
        before = self._beliefs[: len(self._beliefs) - len(after)]
        if after and (not before or after[0].stamp_s == stamp_s or len(after) > MAX_REPEATED):
            self.late += 1
            return Outcome.LATE
        if self._beliefs and not self._is_within_reach(measurement):
            self.outliers += 1
            if not self._is_only_farther(measurement, camera_m):
                self._note_out_of_reach(stamp_s)
            return Outcome.OUT_OF_REACH
        self._out_of_reach_s.clear()
        if not self._beliefs or stamp_s - self._beliefs[-1].stamp_s > abandon_s:
            return self._observe_candidate(measurement)
        if before[-1].motion.at(stamp_s, self.parameters).distance_sigma(measurement) > self.parameters.gate_sigma:
            self.outliers += 1
            return self._observe_candidate(measurement)
        self._candidates.clear()
        self.accepted += 1
        if stamp_s - self._beliefs[-1].stamp_s > LINE_BEGIN_S:
            self._returned_s = stamp_s
        if stamp_s - self._returned_s < PARTIAL_VIEW_S:
            measurement = self._at_most_as_far_as_expected(measurement, camera_m)
        self._beliefs = before
        for each in (measurement, *(belief.measurement for belief in after)):
            self._update(each)
        oldest_s = self._beliefs[-1].stamp_s - HISTORY_S
        while self._beliefs[0].stamp_s < oldest_s and len(self._beliefs) > 1:
            del self._beliefs[0]
        return Outcome.ACCEPTED

    def _is_only_farther(self, measurement: Measurement, camera_m: Vector3) -> bool:
        """Whether a measurement lies behind the expected hero in the same direction, as a half-hidden hero seems to."""
        expected = self.predict(measurement.stamp_s)
        if expected is None:
            return False
        seen, known = measurement.position - camera_m, np.array(expected.position_odom_m) - camera_m
        seen_m, known_m = float(np.linalg.norm(seen)), float(np.linalg.norm(known))
        return seen_m > known_m and float(seen @ known) > math.cos(SAME_DIRECTION_RAD) * seen_m * known_m

    def _note_out_of_reach(self, stamp_s: float) -> None:
        seen_s = self._out_of_reach_s
        if seen_s and not 0.0 <= stamp_s - seen_s[-1] <= MAX_CANDIDATE_GAP_S:
            seen_s.clear()
        seen_s.append(stamp_s)

    def predict(self, stamp_s: float) -> HeroEstimate | None:
        """The hero at a time not before the newest measurement; None if no hero is known."""
        if not self._beliefs:
            return None
        belief = self._beliefs[-1]
        dt = max(0.0, stamp_s - belief.stamp_s)
        x, y, z, vx, vy, vz = self._prediction_state(dt).tolist()
        p = belief.motion.covariance
        speed = math.hypot(vx, vy)
        share = min(1.0, self.parameters.speed_m_s / speed) if speed > 0.0 else 1.0
        vx, vy = vx * share, vy * share
        variance = p[0, 0] + 2 * dt * p[0, 3] + dt * dt * p[3, 3] + self.parameters.acceleration_m_s2**2 * dt**3 / 3
        return HeroEstimate(stamp_s, (x + vx * dt, y + vy * dt, z), (vx, vy, vz), math.sqrt(variance))

    def _at_most_as_far_as_expected(self, measurement: Measurement, camera_m: Vector3) -> Measurement:
        """The measurement, moved along its ray to the expected distance if it is beyond that."""
        expected = self.predict(measurement.stamp_s)
        ray = measurement.position - camera_m
        distance_m = float(np.linalg.norm(ray))
        if expected is None or distance_m == 0.0:
            return measurement
        nearer = min(1.0, math.dist(expected.position_odom_m, camera_m) / distance_m)
        return replace(measurement, position=np.asarray(camera_m) + nearer * ray)

    def _prediction_state(self, unseen_s: float) -> Array:
        """Position and velocity from which to predict: the filter's, and the longer unseen, the more the line's."""
        belief = self._beliefs[-1]
        mean, covariance = belief.motion.mean[:6], belief.motion.covariance
        weight = min(1.0, (unseen_s - LINE_BEGIN_S) / (LINE_FULL_S - LINE_BEGIN_S))
        if weight <= 0.0 or belief.stamp_s - self._beliefs[0].stamp_s < MIN_LINE_S:
            return mean
        stamps = np.array([each.stamp_s - belief.stamp_s for each in self._beliefs])
        seen = np.array([each.measurement.position[:2] for each in self._beliefs])
        velocity, position = np.polyfit(stamps, seen, 1)
        off = velocity - mean[3:5]
        if off @ np.linalg.solve(covariance[3:5, 3:5], off) > MAX_LINE_SIGMA**2:
            return mean  # the hero has just turned or stopped
        line = mean.copy()
        line[:2], line[3:5] = position, velocity
        blended: Array = mean + weight * (line - mean)
        return blended

    def candidate(self, now_s: float) -> HeroEstimate | None:
        """The newest person who may be the hero but is not confirmed yet; None if there is none."""
        if not self._candidates or now_s - self._candidates[-1].stamp_s > MAX_CANDIDATE_GAP_S:
            return None
        x, y, z = self._candidates[-1].position.tolist()
        sigma_m = math.sqrt(self._candidates[-1].variance_m2)
        return HeroEstimate(now_s, (x, y, z), (0.0, 0.0, 0.0), sigma_m)

    def _is_within_reach(self, measurement: Measurement) -> bool:
        last = self._beliefs[-1]
        since_s = max(0.0, measurement.stamp_s - last.stamp_s)
        known = last.motion
        noise_m = REACH_SIGMA * math.sqrt(measurement.variance_m2 + np.trace(known.covariance[:3, :3]))
        away_m = float(np.linalg.norm(measurement.position - known.mean[:3]))
        return away_m <= self.parameters.speed_m_s * since_s + noise_m

    def _update(self, measurement: Measurement) -> None:
        predicted = self._beliefs[-1].motion.at(measurement.stamp_s, self.parameters)
        self._beliefs.append(_Belief(measurement, predicted.updated(measurement)))

    def _observe_candidate(self, measurement: Measurement) -> Outcome:
        """Collect a measurement of a person who is not the known hero; after confirm_s this person becomes the hero."""
        if self._candidates:
            last = self._candidates[-1]
            dt = measurement.stamp_s - last.stamp_s
            if dt <= 0.0:
                self.late += 1
                return Outcome.LATE
            noise = REACH_SIGMA * math.sqrt(measurement.variance_m2 + last.variance_m2)
            step = float(np.linalg.norm(measurement.position - last.position))
            if dt > MAX_CANDIDATE_GAP_S or step > self.parameters.speed_m_s * dt + noise:
                self._candidates.clear()
        self._candidates.append(measurement)
        seen_s = measurement.stamp_s - self._candidates[0].stamp_s
        if len(self._candidates) < MIN_CANDIDATES or seen_s < self.parameters.confirm_s - STAMP_ROUNDING_S:
            return Outcome.CANDIDATE
        first, *rest = self._candidates
        self._beliefs = [_Belief(first, begin(first, self.parameters))]
        for each in rest:
            self._update(each)
        self._candidates = []
        self.switched += 1
        return Outcome.CONFIRMED
