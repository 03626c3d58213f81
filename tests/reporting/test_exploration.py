from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from support import AUDIO_BOUNDS

from anomalous_sound.configuration.features import AudioSettings, FeatureSettings
from anomalous_sound.features.frames import Frames
from anomalous_sound.reporting import exploration, exploration_figures
from anomalous_sound.reporting.exploration_page import FIGURES, exploration_page

AUDIO = AudioSettings(sample_rate=16000, channel=0, **AUDIO_BOUNDS)
LOG_MEL = {"n_fft": 2048, "n_mels": 128, "hop_length": 512, "top_db": 80.0}
FEATURES = FeatureSettings(audio=AUDIO, log_mel=LOG_MEL)


def corpus(simulated=False):
    return SimpleNamespace(
        name="slide rails of hall 3",
        simulated=simulated,
        machine_type="slider",
        machine_ids=["00", "02"],
        fingerprint="0123",
        clips_found=6,
        clips_used=5,
        clips_rejected=1,
        clips_by_split_and_label={"train normal": 3, "test anomalous": 2},
    )


def clips_of(*groups):
    rows = [
        (f"{label}_{machine_id}_{number}.wav", machine_id, "train", label)
        for machine_id, label, count in groups
        for number in reversed(range(count))
    ]
    table = pd.DataFrame(rows, columns=["clip_id", "machine_id", "split", "label"])
    return table.assign(sample_rate=16000, channels=1, duration_s=10.0)


BOTH = clips_of(("00", "normal", 3), ("00", "anomalous", 2), ("02", "normal", 1))
BOTH = pd.concat([BOTH, clips_of(("02", "anomalous", 1))], ignore_index=True)
NORMAL_ONLY = clips_of(("", "normal", 2))


def waveforms_of(shown):
    return {
        clip_id: (number + 1.0, np.full(50, -0.1 * number), np.full(50, 0.2 * number))
        for number, clip_id in enumerate(shown.clip_ids.values())
    }


def spectra_of(shown):
    frequencies_hz = np.arange(513) * 16000 / 1024
    return {
        clip_id: (frequencies_hz, np.full(513, -60.0 - number))
        for number, clip_id in enumerate(shown.clip_ids.values())
    }


def frames_of(shown):
    lengths = 20 + 10 * np.arange(len(shown.clip_ids))
    rng = np.random.default_rng(0)
    return Frames.in_memory(
        {
            clip_id: -80 * rng.random((length, 128), dtype=np.float32)
            for clip_id, length in zip(shown.clip_ids.values(), lengths, strict=True)
        }
    )


def averages_of(clips):
    return pd.concat(
        pd.DataFrame(
            {
                "machine_id": machine_id,
                "label": label,
                "clips": len(group),
                "frequency_hz": [31.25, 125.0, 500.0, 2000.0],
                "mean_db": [-60.0, -65.0, -70.0, -75.0],
                "std_db": np.nan if len(group) == 1 else [1.0, 2.0, 3.0, 4.0],
            }
        )
        for (machine_id, label), group in clips.groupby(["machine_id", "label"])
    )


def all_figures(clips, at_most=8, simulated=False):
    shown = exploration.choose_clips(clips, at_most)
    summary = corpus(simulated)
    return [
        exploration_figures.waveform_figure(waveforms_of(shown), shown, summary),
        exploration_figures.spectrum_figure(spectra_of(shown), shown, summary),
        exploration_figures.spectrogram_figure(frames_of(shown), FEATURES, shown, summary),
        exploration_figures.average_spectrum_figure(averages_of(clips), summary, 12, at_most),
    ]


def texts(figure):
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def panel(figure, title):
    return next(axes for axes in figure.axes if axes.get_title(loc="left").startswith(title))


def test_the_first_clip_of_each_machine_id_and_label_is_shown():
    shown = exploration.choose_clips(BOTH, 8)
    assert shown.clip_ids == {
        ("00", "normal"): "normal_00_0.wav",
        ("00", "anomalous"): "anomalous_00_0.wav",
        ("02", "normal"): "normal_02_0.wav",
        ("02", "anomalous"): "anomalous_02_0.wav",
    }
    assert shown.note == "the first clip of each machine ID and label"


def test_clips_without_a_label_are_not_shown():
    shown = exploration.choose_clips(
        clips_of(("00", "normal", 1), ("01", "unknown", 2), ("00", "unknown", 1)), 8
    )
    assert shown.clip_ids == {("00", "normal"): "normal_00_0.wav"}


def test_a_row_a_machine_id_and_a_column_a_label():
    for figure in all_figures(BOTH)[:3]:
        names = [axes.get_title(loc="left") for axes in figure.axes][:4]
        assert names == [
            "ID 00, normal: normal_00_0.wav",
            "ID 00, anomalous: anomalous_00_0.wav",
            "ID 02, normal: normal_02_0.wav",
            "ID 02, anomalous: anomalous_02_0.wav",
        ]


def test_waveforms_of_unequal_length_have_their_own_seconds_and_one_amplitude_axis():
    shown = exploration.choose_clips(BOTH, 8)
    waveforms = waveforms_of(shown)
    figure = exploration_figures.waveform_figure(waveforms, shown, corpus())
    for (machine_id, label), clip_id in shown.clip_ids.items():
        axes = panel(figure, f"ID {machine_id}, {label}")
        duration_s, low, high = waveforms[clip_id]
        assert axes.get_xlim() == (0, duration_s)
        bottom, top = axes.get_ylim()
        assert bottom <= low.min() and high.max() <= top
        drawn = axes.collections[0].get_paths()[0].vertices
        assert drawn[:, 1].min() == low.min() and drawn[:, 1].max() == high.max()
    assert panel(figure, "ID 02, normal").get_ylim() == panel(figure, "ID 02, anom").get_ylim()
    assert panel(figure, "ID 02, normal").get_xlabel() == "time in the clip (s)"


def test_behind_an_anomalous_spectrum_lies_the_normal_one():
    shown = exploration.choose_clips(BOTH, 8)
    spectra = spectra_of(shown)
    figure = exploration_figures.spectrum_figure(spectra, shown, corpus())
    behind, front = panel(figure, "ID 02, anomalous").lines
    np.testing.assert_array_equal(behind.get_ydata(), spectra["normal_02_0.wav"][1])
    np.testing.assert_array_equal(front.get_ydata(), spectra["anomalous_02_0.wav"][1])
    assert len(panel(figure, "ID 02, normal").lines) == 1
    axes = figure.axes[0]
    assert axes.get_xscale() == "log"
    assert axes.get_xlim() == (20, 8000)
    low, high = axes.get_ylim()
    assert low < -63 and high > -60


def test_a_spectrum_is_cut_100_db_below_its_maximum():
    shown = exploration.choose_clips(NORMAL_ONLY, 8)
    frequencies_hz = np.arange(513) * 16000 / 1024
    decibel = np.where(frequencies_hz < 4000, -50.0, -200.0)
    figure = exploration_figures.spectrum_figure(
        {"normal__0.wav": (frequencies_hz, decibel)}, shown, corpus()
    )
    low, high = figure.axes[0].get_ylim()
    assert -160 < low < -150 and -50 < high < -40


def test_spectrograms_have_a_colour_bar_in_decibels():
    shown = exploration.choose_clips(BOTH, 8)
    frames = frames_of(shown)
    figure = exploration_figures.spectrogram_figure(frames, FEATURES, shown, corpus())
    for (machine_id, label), clip_id in shown.clip_ids.items():
        image = panel(figure, f"ID {machine_id}, {label}").images[0]
        np.testing.assert_array_equal(image.get_array(), frames.clip(clip_id).T)
        assert image.get_clim() == (-80, 0)
    assert "dB below the clip's maximum" in figure.axes[-1].get_ylabel()
    assert {"time in the clip (s)", "frequency (Hz)"} <= set(texts(figure).split("\n"))


def test_average_spectra_show_mean_and_spread():
    figure = exploration_figures.average_spectrum_figure(averages_of(BOTH), corpus(), 12, 8)
    axes = panel(figure, "ID 00")
    for line in axes.lines:
        np.testing.assert_array_equal(line.get_ydata(), [-60, -65, -70, -75])
    for band in axes.collections:
        sides = {tuple(vertex) for vertex in band.get_paths()[0].vertices}
        assert {(500.0, -73.0), (500.0, -67.0), (2000.0, -79.0), (2000.0, -71.0)} <= sides
    words = texts(figure)
    assert "normal: 3 clips" in words
    assert "anomalous: 1 clip, no spread" in words
    assert "12 bands per octave" in words


@pytest.mark.parametrize("number", range(4))
def test_without_anomalous_clips_there_are_normal_ones_alone(number):
    figure = all_figures(NORMAL_ONLY)[number]
    words = texts(figure)
    assert "there is no anomalous clip" in words
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert list(filter(None, titles)) in (["normal: normal__0.wav"], ["slider"])


def test_a_machine_id_without_anomalous_clips_says_so():
    clips = clips_of(("00", "anomalous", 1), ("00", "normal", 1), ("02", "normal", 1))
    for figure in all_figures(clips)[:3]:
        assert "ID 02, anomalous: no such clip" in texts(figure)
        # the panel above the gap has the axis that the gap would have had
        above = panel(figure, "ID 00, anomalous")
        assert above.get_xlabel()
        assert above.xaxis.get_tick_params()["labelbottom"]


@pytest.mark.parametrize("number", range(4))
def test_many_machine_ids_make_a_higher_figure_up_to_a_limit(number):
    many = clips_of(
        *((f"{n:02d}", label, 2) for n in range(11) for label in ("normal", "anomalous"))
    )
    few_high, many_high = (all_figures(clips)[number] for clips in (BOTH, many))
    assert many_high.get_figheight() > few_high.get_figheight()
    words = texts(many_high)
    assert "the first 8 of 11 machine IDs" in words
    assert "ID 07" in words and "ID 08" not in words


@pytest.mark.parametrize("simulated", [True, False])
def test_simulated_sound_is_called_so_everywhere(simulated):
    shown = [texts(figure) for figure in all_figures(BOTH, simulated=simulated)]
    shown.append(page(corpus(simulated)))
    assert ["simulated data" in text.lower() for text in shown] == [simulated] * 5


def test_a_long_clip_id_keeps_its_end():
    name = "section_00_source_train_normal_0000_" + "velocity_" * 10 + "17.wav"
    clips = clips_of(("00", "normal", 1)).assign(clip_id=name)
    title = all_figures(clips)[0].axes[0].get_title(loc="left")
    assert title.endswith("velocity_17.wav")
    assert len(title) == len("ID 00, normal: ") + 48


def measured():
    """Two groups; the level of each clip is its number."""
    clips = clips_of(("00", "normal", 3), ("", "anomalous", 2))
    clips["split"] = ["train", "train", "train", "test", "test"]
    clips["duration_s"] = [10.0, 12.0, 20.0, 6.0, 6.0]
    clips["sample_rate"] = [16000, 48000, 16000, 16000, 16000]
    clips["channels"] = [1, 2, 1, 8, 8]
    levels = clips[["clip_id"]].assign(rms_dbfs=[-30.0, -20.0, -25.0, -40.0, -42.0])
    return clips, levels.assign(peak_dbfs=levels.rms_dbfs + 12).sample(frac=1, random_state=0)


def test_the_table_sums_up_each_group():
    table = exploration.tabulate_clips(*measured())
    assert table.to_dict("records") == [
        {
            "machine_id": "",
            "split": "test",
            "label": "anomalous",
            "clips": 2,
            "minutes": pytest.approx(0.2),
            "duration_min_s": 6.0,
            "duration_median_s": 6.0,
            "duration_max_s": 6.0,
            "rms_min_dbfs": -42.0,
            "rms_median_dbfs": -41.0,
            "rms_max_dbfs": -40.0,
            "peak_max_dbfs": -28.0,
            "sample_rates": "16000",
            "channels": "8",
        },
        {
            "machine_id": "00",
            "split": "train",
            "label": "normal",
            "clips": 3,
            "minutes": pytest.approx(0.7),
            "duration_min_s": 10.0,
            "duration_median_s": 12.0,
            "duration_max_s": 20.0,
            "rms_min_dbfs": -30.0,
            "rms_median_dbfs": -25.0,
            "rms_max_dbfs": -20.0,
            "peak_max_dbfs": -8.0,
            "sample_rates": "16000, 48000",
            "channels": "1, 2",
        },
    ]


def test_the_table_goes_from_training_to_test_and_from_normal_to_unknown():
    clips = clips_of(("00", "unknown", 1), ("00", "anomalous", 1), ("00", "normal", 3))
    clips["split"] = ["test", "test", "test", "validation", "train"]
    levels = clips[["clip_id"]].assign(rms_dbfs=-30.0, peak_dbfs=-10.0)
    table = exploration.tabulate_clips(clips, levels)
    assert list(zip(table.split, table.label, strict=True)) == [
        ("train", "normal"),
        ("validation", "normal"),
        ("test", "normal"),
        ("test", "anomalous"),
        ("test", "unknown"),
    ]


def page(summary, audio=AUDIO):
    return exploration_page(
        corpus=summary,
        clip_table=exploration.tabulate_clips(*measured()),
        rejected_clips=pd.DataFrame({"clip_id": ["bad.wav"], "reason": ["the file is empty"]}),
        audio=audio,
    )


def test_the_page_has_facts_table_rejected_clips_and_figures():
    text = page(corpus())
    assert "6 clips found = 5 used" in text
    assert "| bad.wav | the file is empty |" in text
    assert "0.9 minutes in total" in text
    assert "channel 0 at 16000 Hz" in text
    assert (
        "| 00 | train | normal | 3 | 0.7 | 10.0 / 12.0 / 20.0 | -30.0 / -25.0 / -20.0 | -8.0 | "
        "16000, 48000 | 1, 2 |"
    ) in text
    assert "| (none given) | test | anomalous | 2 | 0.2 | 6.0 |" in text
    for file in FIGURES:
        assert f"]({file})" in text


def test_the_page_says_which_channel_was_read():
    assert "the mean of all channels" in page(
        corpus(), AudioSettings(sample_rate=16000, channel="mean", **AUDIO_BOUNDS)
    )
