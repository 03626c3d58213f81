"""The four simulated machines and their physical constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class SlideRail:
    """The physical constants of one machine.

    Attributes:
        machine_id: for example ``00``.
        stroke_m: distance between the turning points.
        stroke_variation: spread of each turning point, as a fraction of the stroke.
        max_speed_m_s: speed of the trapezoid's plateau.
        acceleration_m_s2: acceleration, and deceleration, of the trapezoid's flanks.
        dwell_s: rest at each turning point.
        clip_variation: spread, from clip to clip, of stroke, speed, acceleration and dwell.
        motor_cycles_per_m: periods of the motor's fundamental per metre of travel.
        motor_harmonics_db: level of the orders 1, 2, … of the motor.
        motor_exponent: the motor's amplitude grows with speed to this power.
        drive_modes_hz: resonances of belt or screw, excited by acceleration.
        drive_decay_s: time in which they fall to 1/e.
        rolling_band_hz: band of the rolling noise.
        rolling_exponent: the rolling noise's amplitude grows with speed to this power.
        carriage_modes_hz: resonances of the carriage, excited by rolling.
        impact_modes_hz: resonances excited where a stroke ends.
        motor_level_db: level of the motor's share of the normal sound; only the differences
            between this and the three below matter, for the sum is mixed at a chosen level.
        drive_level_db: level of the drive's share.
        rolling_level_db: level of rolling noise.
        impact_level_db: level of the impacts.
        rail_modes_hz: resonances of the rail, heard when it is damaged.
        belt_modes_hz: resonances of a loose belt.
        belt_flutter_hz: rate at which a loose belt slaps.
        bearing_pitch_m: travel between two impulses of a worn bearing.
        bearing_resonance_hz: what these impulses excite.
        friction_band_hz: band of dry friction.
        squeal_hz: stick-slip squeal at full speed.
        scraping_band_hz: band of an object scraping between carriage and rail.
        reverberation_s: time in which the room's sound falls by 60 dB.
        direct_to_reverberant_db: energy of the direct sound over that of the room's.
        room_seed: seed of the room's impulse response.
    """

    machine_id: str
    stroke_m: float
    stroke_variation: float
    max_speed_m_s: float
    acceleration_m_s2: float
    dwell_s: float
    clip_variation: float
    motor_cycles_per_m: float
    motor_harmonics_db: tuple[float, ...]
    motor_exponent: float
    drive_modes_hz: tuple[float, ...]
    drive_decay_s: float
    rolling_band_hz: tuple[float, float]
    rolling_exponent: float
    carriage_modes_hz: tuple[float, ...]
    impact_modes_hz: tuple[float, ...]
    motor_level_db: float
    drive_level_db: float
    rolling_level_db: float
    impact_level_db: float
    rail_modes_hz: tuple[float, ...]
    belt_modes_hz: tuple[float, ...]
    belt_flutter_hz: float
    bearing_pitch_m: float
    bearing_resonance_hz: float
    friction_band_hz: tuple[float, float]
    squeal_hz: float
    scraping_band_hz: tuple[float, float]
    reverberation_s: float
    direct_to_reverberant_db: float
    room_seed: int


MACHINES: Mapping[str, SlideRail] = MappingProxyType(
    {
        machine.machine_id: machine
        for machine in (
            SlideRail(  # a slow belt drive with a stepper motor: a steady tone in each stroke
                machine_id="00",
                stroke_m=0.40,
                stroke_variation=0.15,
                max_speed_m_s=0.50,
                acceleration_m_s2=6.0,
                dwell_s=0.28,
                clip_variation=0.03,
                motor_cycles_per_m=514.0,
                motor_harmonics_db=(0.0, -17.0, -16.0, -25.0, -22.0),
                motor_exponent=0.5,
                drive_modes_hz=(620.0, 1150.0),
                drive_decay_s=0.008,
                rolling_band_hz=(250.0, 1400.0),
                rolling_exponent=1.0,
                carriage_modes_hz=(540.0, 1750.0),
                impact_modes_hz=(430.0, 1900.0, 4700.0),
                motor_level_db=0.0,
                drive_level_db=-13.0,
                rolling_level_db=-2.0,
                impact_level_db=-18.0,
                rail_modes_hz=(980.0, 2350.0, 4100.0),
                belt_modes_hz=(140.0, 310.0, 720.0),
                belt_flutter_hz=19.0,
                bearing_pitch_m=0.0085,
                bearing_resonance_hz=2900.0,
                friction_band_hz=(1200.0, 6500.0),
                squeal_hz=2450.0,
                scraping_band_hz=(1800.0, 6000.0),
                reverberation_s=0.45,
                direct_to_reverberant_db=3.0,
                room_seed=100,
            ),
            SlideRail(  # a long belt drive: two tones, soft and slow strokes
                machine_id="02",
                stroke_m=0.60,
                stroke_variation=0.25,
                max_speed_m_s=0.62,
                acceleration_m_s2=5.0,
                dwell_s=0.34,
                clip_variation=0.03,
                motor_cycles_per_m=420.0,
                motor_harmonics_db=(
                    0.0,
                    -12.0,
                    -26.0,
                    -20.0,
                    -30.0,
                    -26.0,
                    -30.0,
                    -30.0,
                    -30.0,
                    -14.0,
                ),
                motor_exponent=0.5,
                drive_modes_hz=(350.0, 830.0),
                drive_decay_s=0.010,
                rolling_band_hz=(200.0, 1100.0),
                rolling_exponent=1.0,
                carriage_modes_hz=(420.0, 1450.0),
                impact_modes_hz=(390.0, 1500.0, 3600.0),
                motor_level_db=0.0,
                drive_level_db=-12.0,
                rolling_level_db=-3.0,
                impact_level_db=-18.0,
                rail_modes_hz=(820.0, 1900.0, 3700.0),
                belt_modes_hz=(110.0, 260.0, 590.0),
                belt_flutter_hz=15.0,
                bearing_pitch_m=0.0100,
                bearing_resonance_hz=2300.0,
                friction_band_hz=(900.0, 5500.0),
                squeal_hz=1850.0,
                scraping_band_hz=(1500.0, 5500.0),
                reverberation_s=0.55,
                direct_to_reverberant_db=2.0,
                room_seed=102,
            ),
            SlideRail(  # a ball screw with a servo motor: its whine rises and falls with the speed
                machine_id="04",
                stroke_m=0.36,
                stroke_variation=0.20,
                max_speed_m_s=1.00,
                acceleration_m_s2=5.5,
                dwell_s=0.66,
                clip_variation=0.03,
                motor_cycles_per_m=1520.0,
                motor_harmonics_db=(-14.0, -2.0, -6.0, -2.0, -10.0),
                motor_exponent=0.7,
                drive_modes_hz=(3620.0, 4150.0),
                drive_decay_s=0.002,
                rolling_band_hz=(2500.0, 9000.0),
                rolling_exponent=0.6,
                carriage_modes_hz=(3620.0, 4300.0, 6100.0),
                impact_modes_hz=(1350.0, 3620.0),
                motor_level_db=0.0,
                drive_level_db=-3.0,
                rolling_level_db=-4.0,
                impact_level_db=-12.0,
                rail_modes_hz=(1250.0, 2700.0, 5200.0),
                belt_modes_hz=(170.0, 420.0, 950.0),
                belt_flutter_hz=24.0,
                bearing_pitch_m=0.0120,
                bearing_resonance_hz=4600.0,
                friction_band_hz=(1500.0, 7000.0),
                squeal_hz=2650.0,
                scraping_band_hz=(2000.0, 6500.0),
                reverberation_s=0.35,
                direct_to_reverberant_db=5.0,
                room_seed=104,
            ),
            SlideRail(  # a fast linear motor: short strokes that never reach a plateau
                machine_id="06",
                stroke_m=0.19,
                stroke_variation=0.60,
                max_speed_m_s=1.60,
                acceleration_m_s2=6.0,
                dwell_s=0.66,
                clip_variation=0.03,
                motor_cycles_per_m=6200.0,
                motor_harmonics_db=(0.0,),
                motor_exponent=2.0,
                drive_modes_hz=(4820.0, 7120.0),
                drive_decay_s=0.004,
                rolling_band_hz=(4600.0, 12000.0),
                rolling_exponent=3.5,
                carriage_modes_hz=(2480.0, 4820.0, 7120.0),
                impact_modes_hz=(900.0, 2480.0, 4820.0),
                motor_level_db=-10.0,
                drive_level_db=-10.0,
                rolling_level_db=0.0,
                impact_level_db=-14.0,
                rail_modes_hz=(1100.0, 2600.0, 4500.0),
                belt_modes_hz=(190.0, 450.0, 1050.0),
                belt_flutter_hz=27.0,
                bearing_pitch_m=0.0090,
                bearing_resonance_hz=3500.0,
                friction_band_hz=(1500.0, 7500.0),
                squeal_hz=3100.0,
                scraping_band_hz=(1700.0, 6000.0),
                reverberation_s=0.30,
                direct_to_reverberant_db=6.0,
                room_seed=106,
            ),
        )
    }
)
