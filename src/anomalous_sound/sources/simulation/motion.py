"""The motion of the carriage: everything that a machine sounds like follows from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anomalous_sound.sources.simulation.machines import SlideRail


@dataclass(frozen=True)
class Motion:
    """The motion of the carriage in one clip, one value per sample.

    Attributes:
        position_m: place on the rail.
        speed_m_s: magnitude of the velocity.
        acceleration_m_s2: change of the speed.
        starts: indices of the samples where a stroke begins.
        stops: indices of the samples where a stroke ends.
        sample_rate: in Hz.
    """

    position_m: np.ndarray
    speed_m_s: np.ndarray
    acceleration_m_s2: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    sample_rate: int

    @property
    def length(self) -> int:
        """Number of samples."""
        return len(self.speed_m_s)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of samples and samples per second, which every sound is made for."""
        return self.length, self.sample_rate


def move(machine: SlideRail, rng: np.random.Generator, length: int, sample_rate: int) -> Motion:
    """Draw the strokes of one clip; the clip begins at a random phase of the first."""
    stroke_m, max_speed, acceleration, dwell_s = (
        value * (1 + machine.clip_variation * rng.uniform(-1, 1))
        for value in (
            machine.stroke_m,
            machine.max_speed_m_s,
            machine.acceleration_m_s2,
            machine.dwell_s,
        )
    )
    spread_m = machine.stroke_variation * stroke_m
    times_s, velocities = [0.0], [0.0]
    position_m = 0.0
    skipped_s = None
    heading = 1.0
    while skipped_s is None or times_s[-1] < skipped_s + length / sample_rate:
        target_m = (stroke_m if heading > 0 else 0.0) + spread_m * rng.uniform(-0.5, 0.5)
        distance_m = abs(target_m - position_m)
        top_speed = min(max_speed, np.sqrt(distance_m * acceleration))
        flank_s = top_speed / acceleration
        plateau_s = distance_m / top_speed - flank_s
        for step_s, speed in ((flank_s, top_speed), (plateau_s, top_speed), (flank_s, 0.0)):
            times_s.append(times_s[-1] + step_s)
            velocities.append(heading * speed)
        times_s.append(times_s[-1] + dwell_s)
        velocities.append(0.0)
        if skipped_s is None:
            skipped_s = rng.uniform(0, times_s[-1])
        position_m, heading = target_m, -heading

    skipped = round(skipped_s * sample_rate)
    grid_s = np.arange(skipped + length) / sample_rate
    velocity = np.interp(grid_s, times_s, velocities)
    travelled_m = np.cumsum(velocity) / sample_rate
    speed = np.abs(velocity)
    moving = speed > 0
    change = np.diff(moving[skipped:].astype(np.int8))
    return Motion(
        position_m=travelled_m[skipped:],
        speed_m_s=speed[skipped:],
        acceleration_m_s2=np.gradient(speed, 1 / sample_rate)[skipped:],
        starts=np.flatnonzero(change > 0) + 1,
        stops=np.flatnonzero(change < 0) + 1,
        sample_rate=sample_rate,
    )
