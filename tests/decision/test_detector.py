"""The detector alone, the training run and the pipeline ``score`` judge every clip alike."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from support import Project, noise

from anomalous_sound import Detector, Rejection, Verdict
from anomalous_sound.decision.calibration import conformal_threshold
from anomalous_sound.errors import InputError, UnreadableClipError

# sample rate (Hz), channels, seconds: as recorded
FORMS = [(16000, 1, 1.0), (44100, 2, 1.5), (8000, 1, 0.7), (48000, 8, 1.1), (22050, 1, 2.3)]


def mixed_corpus(folder):
    """Write a corpus in the DCASE layout whose clips differ in rate, channels and length."""
    seed = 0
    for machine_id in ("00", "02"):
        for split, label in (("train", "normal"), ("test", "normal"), ("test", "anomaly")):
            for number, (rate, channels, seconds) in enumerate(FORMS):
                seed += 1
                samples = noise(seed, seconds, rate, channels)
                if label == "anomaly":
                    samples = samples + 0.05 * noise(seed + 500, seconds, rate, channels) ** 2
                path = folder / split / f"{label}_id_{machine_id}_{number:08d}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, samples, rate)
    return folder


@pytest.fixture(scope="module", params=["report", "standard"])
def trained(request, tmp_path_factory):
    """A project with a detector, and the folder that it was trained on; tests only read them."""
    folder = mixed_corpus(tmp_path_factory.mktemp("recordings") / "slider")
    project = Project(tmp_path_factory.mktemp("project"))
    project.run(audio_dir=str(folder), profile=request.param)
    return project, folder


@pytest.fixture
def detector(trained):
    return Detector.load(trained[0].data("06_models/slider/lstm/detector"))


def table(project, name):
    path = project.data(name)
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, float_precision="round_trip")


def places(verdict: Verdict) -> list[tuple[float, float, float]]:
    segments = [(place.start_s, place.end_s, place.share) for place in verdict.segments]
    return segments + [(place.low_hz, place.high_hz, place.share) for place in verdict.bands]


@pytest.mark.slow
def test_the_library_agrees_with_the_training_run_bit_for_bit(trained, detector):
    project, folder = trained
    clips = table(project, "07_model_output/slider/lstm/clip_scores.parquet").set_index("clip_id")
    decisions = table(project, "07_model_output/slider/lstm/decisions.csv").set_index("clip_id")
    localised = table(project, "08_reporting/slider/lstm/localisation.csv")
    assert len(clips) == len(FORMS) * 6
    for clip_id, clip in clips.iterrows():
        verdict = detector.judge_file(folder / clip_id, machine_id=clip.machine_id)
        if clip.split == "train" and detector.calibration.in_folds:
            # in the table it is judged by the network and the score that have not seen it
            assert verdict.score != clip.score
            continue
        assert verdict.score == clip.score
        assert verdict.decision == decisions.decision[clip_id]
        assert verdict.threshold == decisions.threshold[clip_id]
        if clip.split == "test":
            assert verdict.p_value == decisions.p_value[clip_id]
            of_clip = localised[localised.clip_id == clip_id]
            expected = of_clip[["start", "end", "share"]].itertuples(index=False, name=None)
            assert places(verdict) == list(expected)


@pytest.mark.slow
def test_the_pipeline_score_agrees_with_the_library_bit_for_bit(trained, detector):
    project, folder = trained
    project.run("score", audio_dir=str(folder))
    decisions = table(project, "07_model_output/slider/score/decisions.csv").set_index("clip_id")
    scores = table(project, "07_model_output/slider/score/clip_scores.parquet").set_index("clip_id")
    assert len(decisions) == len(FORMS) * 6
    for clip_id, row in decisions.iterrows():
        verdict = detector.judge_file(folder / clip_id, machine_id=scores.machine_id[clip_id])
        found = (verdict.score, verdict.threshold, verdict.p_value, verdict.decision)
        assert found == (row.score, row.threshold, row.p_value, row.decision)


@pytest.mark.slow
def test_samples_and_files_and_many_files_are_judged_alike(trained, detector):
    _, folder = trained
    paths = sorted(folder.glob("test/*_id_00_*.wav"))
    one_by_one = [detector.judge_file(path, machine_id="00") for path in paths]
    for jobs in (1, 2):
        assert list(detector.judge_files(paths, machine_id="00", jobs=jobs)) == one_by_one
    for path, verdict in zip(paths, one_by_one, strict=True):
        samples, rate = soundfile.read(path, dtype="float32")
        assert detector.judge(samples, rate, machine_id="00").score == verdict.score
        assert verdict.source == path
        json.dumps(verdict.to_json())


@pytest.mark.slow
def test_a_verdict_says_what_the_samples_say_of_the_sensor(trained, detector):
    samples = noise(3, 2.0, rate=8000)
    well = detector.judge(samples, 8000, machine_id="00").signal
    assert (well.duration_s, well.full_scale_share) == (2.0, 0.0)
    assert well.constant_s < 0.01
    samples[:4000] = 0.25
    samples[8000:8040] = 1.0
    ill = detector.judge(samples, 8000, machine_id="00").signal
    assert ill.full_scale_share == pytest.approx(40 / 16000)
    assert ill.constant_s == pytest.approx(0.5)


@pytest.mark.slow
def test_thresholds_of_each_machine_id_on_request(trained, detector):
    joint = {name: detector.calibration.joint(name) for name in ("00", "02")}
    foreign = max(int(np.isinf(of_id).sum()) for of_id in joint.values())
    rate = (1 + foreign) / (1 + min(map(len, joint.values())))
    found = detector.at_rate(rate, per="machine_id")
    assert found.thresholds.per == "machine_id"
    for name in ("00", "02"):
        assert found.thresholds.of(name) == conformal_threshold(joint[name], rate)
    assert not found.thresholds.judges("07")
    assert detector.at_rate(rate).thresholds.per == detector.thresholds.per


@pytest.fixture
def hour(tmp_path):
    """A folder with a recording of 34 s, silent from 10 s to 20 s, in two formats."""
    samples = noise(77, 34.0)
    samples[160_000:320_000] = 0
    (tmp_path / "new").mkdir()
    for name in ("a.wav", "b.flac"):
        soundfile.write(tmp_path / "new" / name, (samples * 2**15).astype(np.int16), 16000)
    return tmp_path / "new"


@pytest.mark.slow
def test_a_recording_is_judged_clip_by_clip(trained, detector, hour):
    samples, rate = soundfile.read(hour / "a.wav", dtype="float32")
    found = list(detector.judge_recording(hour / "a.wav", machine_id="00"))
    assert [clip.start_s for clip in found] == [0.0, 10.0, 20.0, 24.0]
    assert isinstance(found[1], Rejection)
    assert found[1].reason == "all samples are zero"
    for clip in (found[0], found[2], found[3]):
        first = int(clip.start_s * rate)
        alone = detector.judge(samples[first : first + 160_000], rate, machine_id="00")
        assert (clip.score, clip.decision, clip.segments) == (
            *(alone.score, alone.decision, alone.segments),
        )
        assert clip.source == hour / "a.wav"
        assert clip.to_json()["start_s"] == clip.start_s
    again = detector.judge_recording(hour / "b.flac", machine_id="00", jobs=2)
    assert [getattr(clip, "score", None) for clip in again] == [
        getattr(clip, "score", None) for clip in found
    ]


@pytest.mark.slow
def test_a_recording_that_ends_before_its_header_says_is_one_mistake(detector, tmp_path):
    # and not a rejection of each of the thousands of clips that a damaged header may promise
    soundfile.write(tmp_path / "a.flac", noise(1, 34.0), 16000)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    content[23] |= 0x80  # of the 36 bits that count the samples
    (tmp_path / "a.flac").write_bytes(content)
    assert soundfile.info(tmp_path / "a.flac").frames > 2**23
    with pytest.raises(UnreadableClipError, match=r"a truncated|it cannot be decoded as audio"):
        next(detector.judge_recording(tmp_path / "a.flac"))


@pytest.mark.slow
def test_a_recording_has_no_verdict_of_its_own(trained, detector, hour):
    reason = "it is a recording of 34 s, 4 clips of 10 s for this detector, and one verdict"
    with pytest.raises(UnreadableClipError, match=f"{reason}.*; use Detector.judge_recording"):
        detector.judge_file(hour / "a.wav")
    (rejected,) = detector.judge_files([hour / "a.wav"])
    assert rejected.reason.startswith(reason)
    with pytest.raises(UnreadableClipError, match=f"{reason}.*; cut it, and judge each clip"):
        detector.judge(noise(1, 34.0), 16000)
    path = next(trained[1].glob("test/*.wav"))
    (whole,) = detector.judge_recording(path)
    assert whole == detector.judge_file(path)


@pytest.mark.slow
def test_the_pipeline_score_judges_a_recording_as_the_library_does(trained, detector, hour):
    project, _ = trained
    project.run("score", audio_dir=str(hour))
    decisions = table(project, "07_model_output/slider/score/decisions.csv")
    rejected = table(project, "02_intermediate/slider/score/rejected_clips.csv")
    expected = {}
    for name in ("a.wav", "b.flac"):
        for clip in detector.judge_recording(hour / name):
            expected[f"{name}@{clip.start_s:010.3f}"] = clip
    assert set(decisions.clip_id) | set(rejected.clip_id) == set(expected)
    localised = table(project, "08_reporting/slider/score/localisation.csv")
    assert set(localised.clip_id) == set(decisions.clip_id)
    for row in decisions.itertuples():
        clip = expected[row.clip_id]
        assert (clip.score, clip.decision) == (row.score, row.decision)
        assert (str(clip.source.name), clip.start_s) == (row.recording, row.start_s)
    report = project.data("08_reporting/slider/score/report.md").read_text()
    assert "| a.wav | 0:00:34 | 3 |" in report
    assert project.data("08_reporting/slider/score/recordings_figure.png").stat().st_size > 0


@pytest.mark.slow
def test_a_saved_detector_is_the_same_detector(trained, detector, tmp_path):
    _, folder = trained
    detector.save(tmp_path / "copy")
    copy = Detector.load(tmp_path / "copy")
    assert copy.identity == detector.identity
    path = next(folder.glob("test/*.wav"))
    assert copy.judge_file(path) == detector.judge_file(path)


@pytest.mark.slow
def test_the_error_map_comes_on_request(trained, detector):
    path = next(trained[1].glob("test/*.wav"))
    assert detector.judge_file(path).error_map is None
    shown = detector.judge_file(path, error_map=True).error_map
    windows, bands = shown.deviations.shape
    assert len(shown.times_s) == windows
    assert len(shown.band_edges_hz) == bands + 1
    assert np.isfinite(shown.deviations).all()


@pytest.mark.slow
def test_what_cannot_be_judged_says_why(trained, detector, tmp_path):
    with pytest.raises(UnreadableClipError, match="too short: 0.10 s is 4 frames"):
        detector.judge(noise(1, 0.1), 16000)
    with pytest.raises(UnreadableClipError, match="all samples are zero"):
        detector.judge(np.zeros(16000), 16000)
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    (rejected,) = detector.judge_files([tmp_path / "broken.wav"])
    assert isinstance(rejected, Rejection)
    assert rejected.reason
    with pytest.raises(InputError, match="holds no detector; train one first"):
        Detector.load(tmp_path)
    detector.save(tmp_path / "old")
    settings = tmp_path / "old" / "settings.json"
    values = json.loads(settings.read_text())
    before_recordings_were_cut = json.loads(json.dumps(values))
    del before_recordings_were_cut["networks"]["corpus"]["segment_s"]
    settings.write_text(json.dumps(before_recordings_were_cut))
    with pytest.raises(InputError, match="version; (copy the detector again, or )?train it again"):
        Detector.load(tmp_path / "old")
    before_events = json.loads(json.dumps(values))
    del before_events["reference"]["event_limits"]
    settings.write_text(json.dumps(before_events))
    with pytest.raises(InputError, match="version; (copy the detector again, or )?train it again"):
        Detector.load(tmp_path / "old")
    del values["calibration"]
    settings.write_text(json.dumps(values))
    with pytest.raises(InputError, match="holds no calibration: .* train it again"):
        Detector.load(tmp_path / "old")


@pytest.mark.slow
def test_the_digest_tells_detectors_apart_but_not_their_dates(trained, detector):
    parts = {name: getattr(detector, name) for name in detector.__dataclass_fields__}
    del parts["identity"]
    again = Detector.assemble(trained_at="2000-01-01T00:00:00+00:00", version="9", **parts)
    assert again.identity.digest == detector.identity.digest
    weights = dict(detector.networks.weights)
    name = sorted(weights)[0]
    weights[name] = weights[name] + 1e-3
    parts["networks"] = type(detector.networks)(weights, detector.networks.description)
    other = Detector.assemble(trained_at="2000-01-01T00:00:00+00:00", version="9", **parts)
    assert other.identity.digest != detector.identity.digest


@pytest.mark.slow
def test_a_detector_needs_neither_kedro_nor_mlflow(trained):
    project, folder = trained
    clip = next(folder.glob("test/*.wav"))
    program = f"""
import sys
from anomalous_sound import Detector
detector = Detector.load({str(project.data("06_models/slider/lstm/detector"))!r})
verdict = detector.judge_file({str(clip)!r}, machine_id="00")
print(verdict.decision)
print(sorted({{name.partition(".")[0] for name in sys.modules}} & {{"kedro", "mlflow"}}))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(clip).parent,
    )
    decision, imported = done.stdout.splitlines()
    assert decision in ("normal", "anomalous")
    assert imported == "[]"


def _flip(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(bytes(content))


def _says_the_same(one, other):
    try:
        return json.loads(one) == json.loads(other)
    except ValueError:
        return False


@pytest.mark.parametrize("file", ["weights.safetensors", "settings.json"])
@pytest.mark.parametrize("place", np.linspace(0, 0.999, 12))
def test_a_flipped_bit_is_noticed_and_its_file_is_named(detector, tmp_path, file, place):
    detector.save(tmp_path / "d")
    path = tmp_path / "d" / file
    at, before = int(place * path.stat().st_size), path.read_bytes()
    _flip(path, at)
    while file == "settings.json" and _says_the_same(path.read_bytes(), before):
        # the last of 17 digits may be another and the number the same
        at += 1
        path.write_bytes(before)
        _flip(path, at)
    with pytest.raises(InputError, match="train it again") as raised:
        Detector.load(tmp_path / "d")
    assert str(tmp_path / "d") in str(raised.value)


def test_damaged_weights_are_named(detector, tmp_path):
    detector.save(tmp_path / "d")
    _flip(tmp_path / "d" / "weights.safetensors", -1)
    with pytest.raises(InputError, match=r"weights\.safetensors is damaged.*train it again"):
        Detector.load(tmp_path / "d")


@pytest.mark.parametrize("file", ["weights.safetensors", "settings.json"])
@pytest.mark.parametrize("kept", [0, 1, 100, 500])
def test_a_torn_file_is_told_in_a_sentence(detector, tmp_path, file, kept):
    detector.save(tmp_path / "d")
    path = tmp_path / "d" / file
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match="train it again"):
        Detector.load(tmp_path / "d")


@pytest.mark.slow
def test_noise_and_a_tone_are_foreign_to_a_simulated_machine(simulated_run):
    detector = Detector.load(simulated_run.data("06_models/slider/lstm/detector"))
    times = np.arange(32_000) / 16_000
    sounds = [
        0.05 * np.random.default_rng(4).standard_normal(32_000),
        0.05 * np.sin(2 * np.pi * 1000 * times),
    ]
    for machine_id in ("00", "02"):
        for samples in sounds:
            verdict = detector.judge(samples, 16_000, machine_id=machine_id)
            spectrum = verdict.evidence[2]
            assert spectrum.name == "spectrum"
            assert spectrum.strange
            assert spectrum.p_value == 1 / (spectrum.normal_clips + 1)
            assert verdict.is_foreign and verdict.is_anomalous
            assert any(" dB from this machine's usual one" in note for note in verdict.notes)


@pytest.mark.slow
def test_gain_leaves_the_spectrum_as_it_is(simulated_run):
    detector = Detector.load(simulated_run.data("06_models/slider/lstm/detector"))
    path = min(simulated_run.data("01_raw/simulated/slider").glob("test/normal_id_00_*.wav"))
    samples, rate = soundfile.read(path, dtype="float32")
    usual = detector.judge(samples, rate, machine_id="00")
    louder = detector.judge(4 * samples, rate, machine_id="00")
    np.testing.assert_allclose(louder.spectra.spectrum_db, usual.spectra.spectrum_db, atol=1e-4)
    np.testing.assert_allclose(louder.spectra.flux_db, usual.spectra.flux_db, atol=1e-4)
    for before, after in zip(usual.evidence[2:], louder.evidence[2:], strict=True):
        assert after.strange == before.strange


@pytest.mark.slow
def test_the_evidence_of_a_run_is_that_of_the_library(simulated_run):
    detector = Detector.load(simulated_run.data("06_models/slider/lstm/detector"))
    evidence = table(simulated_run, "07_model_output/slider/lstm/evidence.csv").set_index("clip_id")
    folder = simulated_run.data("01_raw/simulated/slider")
    for path in sorted(folder.glob("test/*.wav")):
        row = evidence.loc[path.relative_to(folder).as_posix()]
        verdict = detector.judge_file(path, machine_id=path.name.split("_id_")[1][:2])
        _, _, spectrum, flux = verdict.evidence
        assert (row.flux_db, row.flux_highest_db, row.flux_p_value) == (
            *(flux.value_db, flux.highest_db, flux.p_value),
        )
        assert (row.spectrum_db, row.spectrum_highest_db, row.spectrum_p_value) == (
            *(spectrum.value_db, spectrum.highest_db, spectrum.p_value),
        )
        assert row.foreign == verdict.is_foreign
