import dataclasses

import numpy as np
import pytest

from anomalous_sound.sources.simulation.faults import FAULTS, Fault
from anomalous_sound.sources.simulation.machines import MACHINES
from anomalous_sound.sources.simulation.slide_rail import SHORTEST_CLIP_S, simulate_clip

SAMPLE_RATE = 16_000
MACHINE_ALONE_DB, BACKGROUND_ALONE_DB = 200.0, -200.0


def simulated(machine, *, seed=0, duration_s=2.0, snr_db=-6.0, snr_jitter_db=0.0, fault=None):
    return simulate_clip(
        machine,
        rng=np.random.default_rng(seed),
        duration_s=duration_s,
        sample_rate=SAMPLE_RATE,
        snr_db=snr_db,
        snr_jitter_db=snr_jitter_db,
        fault=fault,
    )


def fault_alone(machine, kind, *, seed=0, duration_s=2.0, level_db=0.0):
    """The difference between the clip with the fault and the clip without; and both clips."""
    settings = {"seed": seed, "duration_s": duration_s, "snr_db": MACHINE_ALONE_DB}
    normal = simulated(machine, **settings)
    faulty = simulated(machine, fault=Fault(kind, level_db), **settings)
    return faulty.samples.astype(float) - normal.samples, normal, faulty


def inside(clip, *, tail_s=0.0):
    time_s = np.arange(len(clip.samples)) / SAMPLE_RATE
    mask = np.zeros(len(time_s), dtype=bool)
    for start, end in clip.fault_intervals:
        mask |= (time_s >= start) & (time_s < end + tail_s)
    return mask


def power_spectrum(samples):
    frequency_hz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    return frequency_hz, np.abs(np.fft.rfft(samples)) ** 2


def decibels(ratio):
    return 20 * np.log10(ratio)


def rms(samples):
    return np.sqrt(np.mean(np.square(samples, dtype=float)))


@pytest.mark.parametrize("machine_id", MACHINES)
def test_clip_is_float32_mono_of_the_asked_length_and_not_clipped(machine_id):
    clip = simulated(MACHINES[machine_id], duration_s=2.5)
    assert clip.samples.dtype == np.float32
    assert clip.samples.shape == (40_000,)
    assert np.abs(clip.samples).max() < 1
    assert clip.fault_intervals == []
    assert clip.fault_band_hz is None


@pytest.mark.parametrize("machine_id", ["00", "02", "04"])
@pytest.mark.parametrize("order", [1, 3])
def test_motor_harmonic_is_where_full_speed_puts_it(machine_id, order):
    # one long stroke at the nominal speed, and of the machine one harmonic alone
    machine = dataclasses.replace(
        MACHINES[machine_id],
        clip_variation=0.0,
        stroke_m=100.0,
        motor_harmonics_db=(-100.0,) * (order - 1) + (0.0,),
        drive_level_db=-100.0,
        rolling_level_db=-100.0,
        impact_level_db=-100.0,
    )
    clip = simulated(machine, snr_db=MACHINE_ALONE_DB)
    frequency_hz, power = power_spectrum(clip.samples)
    expected_hz = order * machine.motor_cycles_per_m * machine.max_speed_m_s
    near = np.abs(frequency_hz / expected_hz - 1) < 0.03
    assert power[near].sum() > 0.9 * power.sum()
    assert np.average(frequency_hz, weights=power) == pytest.approx(expected_hz, rel=0.005)


def test_machine_rests_for_its_dwell_between_strokes():
    machine = dataclasses.replace(
        MACHINES["04"], clip_variation=0.0, stroke_variation=0.0, direct_to_reverberant_db=80.0
    )
    clip = simulated(machine, duration_s=6.0, snr_db=MACHINE_ALONE_DB)
    loud = np.convolve(np.abs(clip.samples), np.ones(160) / 160, "same") > 1e-3
    starts = np.flatnonzero(np.diff(loud.astype(int)) > 0)
    strokes = starts[np.diff(starts, prepend=-(10**6)) > 0.3 * SAMPLE_RATE]
    # a trapezoid: stroke / speed for the plateau, and once more speed / acceleration for the flanks
    expected_s = (
        machine.stroke_m / machine.max_speed_m_s
        + machine.max_speed_m_s / machine.acceleration_m_s2
        + machine.dwell_s
    )
    assert np.median(np.diff(strokes)) / SAMPLE_RATE == pytest.approx(expected_s, rel=0.03)


def measured_snr_db(clip, machine, *, seed=0):
    """Solve for the gains at which machine alone and background alone add up to the clip."""
    parts = [
        simulated(machine, seed=seed, snr_db=alone_db).samples.astype(float)
        for alone_db in (MACHINE_ALONE_DB, BACKGROUND_ALONE_DB)
    ]
    clip = clip.samples.astype(float)
    gains, *_ = np.linalg.lstsq(np.stack(parts, axis=1), clip, rcond=None)
    alone, background = (gain * part for gain, part in zip(gains, parts, strict=True))
    np.testing.assert_allclose(alone + background, clip, atol=1e-6)
    return decibels(rms(alone) / rms(background))


@pytest.mark.parametrize("snr_db", [-12.0, -3.0, 6.0])
def test_background_is_mixed_at_the_asked_ratio(snr_db):
    clip = simulated(MACHINES["04"], snr_db=snr_db)
    assert measured_snr_db(clip, MACHINES["04"]) == pytest.approx(snr_db, abs=0.05)


def test_snr_jitter_stays_within_its_bound_and_differs_between_clips():
    measured_db = [
        measured_snr_db(
            simulated(MACHINES["00"], seed=seed, snr_db=0.0, snr_jitter_db=3.0),
            MACHINES["00"],
            seed=seed,
        )
        for seed in range(6)
    ]
    assert np.max(np.abs(measured_db)) <= 3.05
    assert np.ptp(measured_db) > 0.5


@pytest.mark.parametrize("machine_id", MACHINES)
def test_background_falls_towards_high_frequencies(machine_id):
    clip = simulated(MACHINES[machine_id], snr_db=BACKGROUND_ALONE_DB)
    frequency_hz, power = power_spectrum(clip.samples)
    low = np.median(power[(frequency_hz > 60) & (frequency_hz < 200)])
    high = np.median(power[(frequency_hz > 6000) & (frequency_hz < 7500)])
    assert low > 10 * high


@pytest.mark.parametrize("machine_id", MACHINES)
@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("level_db", [6.0, -12.0])
def test_fault_has_the_asked_level_over_the_normal_sound_while_it_sounds(
    machine_id, kind, level_db
):
    fault, normal, faulty = fault_alone(MACHINES[machine_id], kind, level_db=level_db)
    sounding = inside(faulty)
    measured_db = decibels(rms(fault[sounding]) / rms(normal.samples[sounding]))
    assert measured_db == pytest.approx(level_db, abs=0.05)


@pytest.mark.parametrize("machine_id", MACHINES)
@pytest.mark.parametrize("kind", FAULTS)
def test_intervals_and_band_hold_the_energy_of_the_fault(machine_id, kind):
    machine = MACHINES[machine_id]
    fault, _, faulty = fault_alone(machine, kind, duration_s=4.0)
    # a third of the reverberation time: the tail has fallen by 20 dB
    sounding = inside(faulty, tail_s=machine.reverberation_s / 3)
    assert np.sum(fault[sounding] ** 2) > 0.9 * np.sum(fault**2)
    frequency_hz, power = power_spectrum(fault)
    low_hz, high_hz = faulty.fault_band_hz
    in_band = (frequency_hz >= low_hz) & (frequency_hz <= high_hz)
    assert power[in_band].sum() > 0.7 * power.sum()


@pytest.mark.parametrize("machine_id", MACHINES)
@pytest.mark.parametrize("kind", FAULTS)
def test_every_fault_sounds_even_in_the_shortest_clip(machine_id, kind):
    for seed in range(3):
        clip = simulated(
            MACHINES[machine_id], seed=seed, duration_s=SHORTEST_CLIP_S, fault=Fault(kind, 0.0)
        )
        assert clip.fault_intervals
        assert all(0 <= start < end <= SHORTEST_CLIP_S for start, end in clip.fault_intervals)


def test_worn_bearing_beats_at_a_rate_given_by_speed_and_pitch():
    machine = dataclasses.replace(
        MACHINES["04"], clip_variation=0.0, stroke_m=100.0, direct_to_reverberant_db=60.0
    )
    fault, *_ = fault_alone(machine, "worn_bearing")
    frequency_hz, power = power_spectrum(fault[SAMPLE_RATE:] ** 2)  # of the envelope
    expected_hz = machine.max_speed_m_s / machine.bearing_pitch_m
    beats = (frequency_hz > 0.5 * expected_hz) & (frequency_hz < 1.5 * expected_hz)
    found_hz = frequency_hz[beats][np.argmax(power[beats])]
    assert found_hz == pytest.approx(expected_hz, rel=0.03)


def test_same_seed_gives_the_same_clip_and_another_seed_another():
    fault = Fault("rail_damage", 0.0)
    first, again, other = (simulated(MACHINES["06"], seed=s, fault=fault) for s in (5, 5, 6))
    np.testing.assert_array_equal(first.samples, again.samples)
    assert first.fault_intervals == again.fault_intervals
    assert not np.array_equal(first.samples, other.samples)
