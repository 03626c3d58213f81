"""The explore pipeline whole, on small corpora."""

import shutil

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from scipy.signal import welch
from support import REPOSITORY, Project

from anomalous_sound.corpus.decode import AudioFile

pytestmark = pytest.mark.slow

FIGURES = ("waveform", "spectrum", "spectrogram", "average_spectrum")


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    """The pipeline run once on the small simulated corpus; tests only read it."""
    project = Project(tmp_path_factory.mktemp("explored"))
    shutil.copy(REPOSITORY / "conf" / "base" / "catalog.yml", project.path / "conf" / "base")
    project.run("explore")  # with as many dots as a user's figures have
    return project


def figures_of(project, name="slider"):
    return [
        imread(project.data(f"08_reporting/{name}/explore/{figure}_figure.png"))
        for figure in FIGURES
    ]


def files_of(project):
    noted = project.data("01_raw/simulated/slider")  # beside the clips, by the simulation
    files = [path for path in project.data().rglob("*") if path.is_file()]
    return [path for path in files if path.parent not in (noted, noted.parent)]


def samples_of(project, clip_id):
    path = project.data("01_raw/simulated/slider", clip_id)
    return AudioFile(path).recording().samples[:, 0].astype(float)


def test_nothing_is_made_that_a_look_does_not_need(explored):
    made = {path.parent.relative_to(explored.data()).as_posix() for path in files_of(explored)}
    assert made == {
        "01_raw/simulated/slider/train",
        "01_raw/simulated/slider/test",
        "02_intermediate/slider",
        "03_primary/slider/log_mel",
        "08_reporting/slider/explore",
    }


def test_every_figure_is_a_picture_with_something_in_it(explored):
    for picture in figures_of(explored):
        assert min(picture.shape[:2]) > 300
        assert picture[..., :3].std() > 0.02


def test_the_levels_are_those_of_the_files(explored):
    levels = explored.load("explore.clip_levels").set_index("clip_id")
    assert len(levels) == 20
    for clip_id in ("train/normal_id_00_00000000.wav", "test/anomaly_id_02_00000002.wav"):
        samples = samples_of(explored, clip_id)
        rms, peak = np.sqrt(np.mean(samples**2)), np.abs(samples).max()
        assert levels.rms_dbfs[clip_id] == pytest.approx(20 * np.log10(rms))
        assert levels.peak_dbfs[clip_id] == pytest.approx(20 * np.log10(peak))


def test_the_table_holds_every_clip_once(explored):
    table = explored.load("explore.clip_table")
    clips = explored.load("clips")
    assert (
        dict(
            zip(
                zip(table.machine_id, table.split, table.label, strict=True),
                table.clips,
                strict=True,
            )
        )
        == clips.groupby(["machine_id", "split", "label"]).size().to_dict()
    )
    assert table.minutes.sum() == pytest.approx(20 * 2 / 60)
    levels = explored.load("explore.clip_levels").merge(clips, on="clip_id")
    of_group = levels[(levels.machine_id == "02") & (levels.label == "anomalous")]
    row = table[(table.machine_id == "02") & (table.label == "anomalous")].iloc[0]
    assert row.rms_median_dbfs == pytest.approx(of_group.rms_dbfs.median())
    assert row.peak_max_dbfs == pytest.approx(of_group.peak_dbfs.max())
    assert (row.sample_rates, row.channels) == ("16000", "1")


def test_the_average_spectra_agree_with_scipy(explored):
    """The band around 1 kHz and a band of a single frequency, worked out clip by clip."""
    clips = explored.load("clips")
    spectra = explored.load("explore.average_spectra")
    of_group = clips[(clips.machine_id == "00") & (clips.label == "anomalous")]
    averages = spectra[(spectra.machine_id == "00") & (spectra.label == "anomalous")]
    assert (averages.clips == 3).all()
    densities = []
    for clip_id in of_group.clip_id:
        frequencies_hz, density = welch(samples_of(explored, clip_id), 16000, nperseg=4096)
        densities.append(density)
    half = 2 ** (1 / 24)
    for centre_hz in (1000, 1000 * 2 ** (-58 / 12)):
        inside = (frequencies_hz > centre_hz / half) & (frequencies_hz < centre_hz * half)
        decibel = [10 * np.log10(density[inside].mean()) for density in densities]
        row = averages.iloc[(averages.frequency_hz - centre_hz).abs().argmin()]
        assert row.frequency_hz == pytest.approx(centre_hz)
        assert row.mean_db == pytest.approx(np.mean(decibel))
        assert row.std_db == pytest.approx(np.std(decibel, ddof=1))


def test_the_report_says_what_the_corpus_is(explored):
    report = explored.load("explore.report")
    assert "(simulated data)" in report
    assert "20 clips found = 20 used" in report
    assert "| 02 | test | anomalous | 3 |" in report


def test_the_figures_are_in_mlflow_and_a_second_run_draws_the_same(explored):
    import mlflow

    before = figures_of(explored)
    explored.run("explore")
    for first, second in zip(before, figures_of(explored), strict=True):
        np.testing.assert_array_equal(first, second)
    client = mlflow.MlflowClient(f"sqlite:///{explored.path}/mlflow.db")
    experiment = client.get_experiment_by_name("anomalous-sound")
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 2
    stored = {file.path for file in client.list_artifacts(runs[0].info.run_id)}
    assert {f"{figure}_figure.png" for figure in FIGURES} <= stored
    assert {"clip_table.csv", "report.md"} <= stored
    assert runs[0].data.params["welch_segment"] == "4096"


def test_a_plain_folder_of_unequal_normal_clips(project, tmp_path, write_clip):
    folder = tmp_path / "press"
    for number in range(3):
        write_clip(folder / f"monday {number}.wav", seed=number)
    rng = np.random.default_rng(5)
    write_clip(folder / "long.flac", rng.normal(0, 0.1, (5 * 48000, 2)), samplerate=48000)
    write_clip(folder / "short.wav", rng.normal(0, 0.1, 6000))
    write_clip(folder / "silent.wav", np.zeros(16000))
    project.run("explore", audio_dir=str(folder))
    table = project.load("explore.clip_table")
    assert set(table.machine_id) == {""}
    assert table.clips.sum() == 5
    assert table.duration_min_s.min() == pytest.approx(6000 / 16000)
    assert table.duration_max_s.max() == pytest.approx(5)
    assert {rate for rates in table.sample_rates for rate in rates.split(", ")} == {
        "16000",
        "48000",
    }
    spectra = project.load("explore.average_spectra")
    assert set(spectra.label) == {"normal"}
    assert (spectra.clips == 5).all()
    assert not pd.isna(spectra.std_db).any()
    assert all(picture.size for picture in figures_of(project, "press"))
    report = project.load("explore.report")
    assert "simulated" not in report.lower()
    assert "| silent.wav | all samples are zero |" in report
    assert "| (none given) | train | normal |" in report


@pytest.mark.recordings
def test_eight_channels_in_mimiis_layout(project, recordings):
    project.run("explore", audio_dir=str(recordings / "fan_8ch"))
    table = project.load("explore.clip_table")
    assert set(table.channels) == {"8"}
    assert set(table.label) == {"normal", "anomalous"}
    assert all(picture.size for picture in figures_of(project, "fan_8ch"))
