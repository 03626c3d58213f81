"""The page that can be heard: what is in it, and what is not."""

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile
from clips_to_show import JUDGED, PAGE, SECONDS, page, shown_and_events, sound_of
from elements import Elements, content
from features_of_report import FEATURES
from jinja2 import UndefinedError
from PIL import Image
from support import RATE, corpus_summary

from anomalous_sound.reporting import pages
from anomalous_sound.reporting.embedding import audio_uri, map_uri
from anomalous_sound.reporting.promises import promise_in_words
from anomalous_sound.reporting.shown_clips import ShownClips, chosen_clips
from anomalous_sound.reporting.sound_page import PageFigure


def test_nothing_is_fetched():
    text = page(figures=[PageFigure("ROC curve", "a curve", b"png")])
    elements = Elements(text)
    for tag, attributes in elements.found:
        assert tag not in ("link", "iframe", "object", "base"), tag
        for name in ("src", "href", "data", "poster", "srcset", "action"):
            assert attributes.get(name, "data:").startswith("data:"), (tag, attributes)
    assert (
        "url(" not in text
        and "@import" not in text
        and "//" not in re.sub(r"base64,[^\"]+", "", text).replace("http-equiv", "")
    )
    (policy,) = [element["content"] for element in elements.all("meta") if "http-equiv" in element]
    assert policy.startswith("default-src 'none';")


def test_a_clip_is_text_whatever_it_is_called():
    awkward = "<script>alert(1)</script>\"'&.wav"
    judged = JUDGED.replace({"clip_id": {"a.wav": awkward, "b.wav": 'b"><img src=x>.wav'}})
    judged = judged.assign(recording=judged.clip_id, machine_id='"><b>')
    text = page(judged, rejected_clips=pd.DataFrame({"clip_id": ["<i>"], "reason": ["<u>"]}))
    elements = Elements(text)
    assert len(elements.all("script")) == 1
    for tag in ("img", "b", "i", "u"):
        assert elements.all(tag) == [], tag
    assert awkward in elements.text
    assert 'b"><img src=x>.wav' in elements.text


def test_three_lines_come_first():
    text = Elements(page()).text
    assert "Heard5 clips (20 seconds), machine type slider, machine IDs 00, 02" in text
    assert (
        "Alarms1 of 4 test clips called anomalous (1 of 2 anomalous ones, 0 of 2 normal ones)"
    ) in text
    assert "Promisedat most 2.0% false alarms" in text


def test_without_labels_nothing_is_said_of_them_and_undecided_clips_are_counted():
    judged = JUDGED.assign(label="unknown")
    judged.loc[1, ["decision", "threshold", "p_value"]] = ["undecided", np.nan, np.nan]
    text = Elements(page(judged)).text
    assert "Alarms1 of 4 test clips called anomalous; 1 undecided" in text
    assert "labelled" not in text
    assert "nan" not in text


def test_a_note_on_level_or_foreign_sound_is_shown_with_its_clip():
    judged = JUDGED.copy()
    judged.loc[0, "note"] = "12 dB louder than <all> normal clips"
    assert "Note: 12 dB louder than <all> normal clips" in Elements(page(judged)).text
    assert "Note:" not in Elements(page(JUDGED)).text


def test_players_have_the_highest_scores_of_test_clips_and_an_ordinary_normal_one():
    assert chosen_clips(JUDGED, PAGE) == ["b.wav", "c.wav", "a.wav"]
    training = JUDGED.assign(split="train")
    assert chosen_clips(training, PAGE) == ["b.wav", "c.wav", "a.wav"]
    many = pd.DataFrame({"score": np.arange(20.0), "split": "test", "decision": "normal"})
    many["clip_id"] = [f"{number}.wav" for number in range(20)]
    # of the other 18, the one in the middle
    assert chosen_clips(many, PAGE) == ["19.wav", "18.wav", "9.wav"]
    assert chosen_clips(many, PAGE.model_copy(update={"highest": 0, "normal": 0})) == []


def test_a_player_holds_the_clips_sound_and_starts_before_the_marked_second():
    shown, events = shown_and_events()
    clip = shown.clips[0]
    assert clip.clip_id == "b.wav"
    sound, rate = soundfile.read(content(clip.audio))
    assert rate == RATE
    expected = sound_of("b.wav")
    gain = 10 ** (shown.gain_db / 20)
    np.testing.assert_allclose(sound, gain * expected, atol=1 / 2**15)
    loudest = max(np.abs(sound_of(name)).max() for name in ("a.wav", "b.wav", "c.wav"))
    assert gain * loudest == pytest.approx(0.9)
    start_s = events.start_s[events.clip_id == "b.wav"].iloc[0]
    assert start_s == pytest.approx(2.0, abs=FEATURES.frame_s)
    assert clip.start_s == pytest.approx(start_s - PAGE.lead_s)
    assert shown.clips[1].start_s == 0  # no event
    assert ShownClips.model_validate(shown.model_dump(mode="json")) == shown


def test_an_event_is_a_box_on_both_pictures_and_a_button_to_hear_it():
    elements = Elements(page())
    boxes = elements.all("rect")
    assert len(boxes) == 2
    for box in boxes:
        assert float(box["x"]) == pytest.approx(2.0, abs=FEATURES.frame_s)
        assert float(box["width"]) == pytest.approx(1.0, abs=2 * FEATURES.frame_s)
        assert (float(box["y"]), float(box["height"])) == (0, 28)  # bands 100 to 127, from the top
    (button,) = [one for one in elements.all("button") if "data-seek" in one]
    assert button["data-seek"] == boxes[0]["x"]
    pictures = elements.all("svg")
    assert len(pictures) == 6
    assert all(picture["aria-label"] for picture in pictures)
    assert "above 4 kHz" in pictures[0]["aria-label"]
    assert elements.text.count("No single event stands out") == 2


def test_without_an_event_the_bands_that_contribute_most_are_named():
    text = Elements(page()).text
    assert text.count("What there is of a deviation lies") == 1
    assert "lies most of all around 2.1 kHz, 820 Hz." in text


def test_without_players_all_clips_are_listed():
    settings = PAGE.model_copy(update={"highest": 0, "normal": 0, "listed": 3})
    text = page(settings=settings)
    elements = Elements(text)
    assert elements.all("audio") == [] and elements.all("article") == []
    rows = [row for row in elements.all("tr") if "data-split" in row]
    assert len(rows) == 3
    assert "2 clips of lower scores are in decisions.csv" in elements.text


def test_what_was_not_computed_is_said_in_one_sentence():
    reasons = {"auc_pooled": "no test clip has a label", "auc_mean": "no test clip has a label"}
    text = Elements(page(not_computed=reasons)).text
    assert "Not computed: auc_pooled, auc_mean (no test clip has a label)." in text
    assert "Not computed" not in Elements(page()).text


def test_only_what_differs_can_be_filtered():
    names = [select["name"] for select in Elements(page()).all("select")]
    assert names == ["machine_id", "split", "decision"]
    one = JUDGED.assign(machine_id="", split="test")
    names = [select["name"] for select in Elements(page(one)).all("select")]
    assert names == ["decision"]


def test_a_part_of_a_recording_has_its_time():
    judged = JUDGED.assign(recording="hour.wav", start_s=3600.0)
    text = Elements(page(judged)).text
    assert f"1:00:00–1:00:0{SECONDS:.0f} in the recording" in text


@pytest.mark.parametrize(
    ("corpus", "trained_on", "warning"),
    [
        (False, False, None),
        (True, True, "Simulated data:"),
        (False, True, "The detector was trained on simulated data:"),
    ],
)
def test_simulated_sound_is_said(corpus, trained_on, warning):
    text = page(
        corpus=corpus_summary(simulated=corpus), trained_on=corpus_summary(simulated=trained_on)
    )
    assert ('class="warning"' in text) == (warning is not None)
    if warning:
        assert warning in Elements(text).text


def test_a_fact_that_is_missing_is_an_error():
    with pytest.raises(UndefinedError):
        pages.render_html("sound_page.html.j2")


def test_a_map_is_drawn_with_low_bands_below():
    values = np.zeros((3, 2))
    values[2, 0] = 5.0  # the last time, the lowest band
    picture = Image.open(content(map_uri(values, lowest=0, highest=4, colours="gray")))
    pixels = np.asarray(picture.convert("L"))
    assert pixels.tolist() == [[0, 0, 0], [0, 0, 255]]


def test_ogg_is_smaller_than_flac():
    sound = sound_of("a.wav")
    found = {form: len(audio_uri(sound, RATE, form)) for form in ("flac", "ogg")}
    assert found["ogg"] < found["flac"] / 2


def thresholds(strategy, **changed):
    values = {"strategy": strategy, "note": "", "per": "machine_type", "shared": 2.0}
    values |= {"by_machine_id": {"00": 2.0}, "false_alarm_rate": 0.02, "unseen_note": ""}
    values |= {"with_foreign": True}
    return SimpleNamespace(**values | changed)


def calibration(test_clips):
    row = {"per": "machine_type", "machine_id": "", "strategy": "conformal"}
    row |= {"test_clips": test_clips, "alarms": 1 if test_clips else np.nan}
    return pd.DataFrame([row])


def promise(deployed, scores, measured, in_folds=False):
    return promise_in_words(deployed, scores, measured, in_folds=in_folds)


def test_a_promise_says_when_it_holds_and_what_was_delivered():
    scores = [0.5, 1.0, 2.5]
    said = promise(thresholds("conformal"), scores, calibration(60))
    assert said == (
        "at most 2.0% false alarms among normal clips, foreign sound included (always, if the "
        "clips are exchangeable); delivered: 1 of 60 normal test clips; of the 3 normal clips "
        "held out in training, 1 reaches the threshold"
    )
    assert "delivered" not in promise(thresholds("conformal"), scores, calibration(0))


@pytest.mark.parametrize("measured", [None, calibration(60)])
def test_what_folds_promise_is_observed_not_proven(measured):
    both = thresholds("conformal", by_machine_id={"00": 2.0, "02": 2.0}, false_alarm_rate=0.1)
    assert promise(both, [1.0], measured, in_folds=True).startswith(
        "at most 10.0% false alarms among normal clips, foreign sound included (observed, not "
        "proven, with folds; for the mixture of machine IDs, not for each)"
    )
    own = thresholds("conformal", per="machine_id", by_machine_id={"00": 2.0, "02": 3.0})
    assert promise(own, [1.0], None, in_folds=True).startswith(
        "at most 2.0% false alarms among normal clips of each machine ID, foreign sound included "
        "(observed, not proven, with folds)"
    )


def test_a_promise_says_whether_foreign_sound_is_in_it():
    said = promise(thresholds("conformal"), [1.0], calibration(60))
    assert "among normal clips, foreign sound included (always, if" in said
    earlier = promise(thresholds("conformal", with_foreign=False), [1.0], calibration(60))
    assert "among normal clips by the score (always, if" in earlier
    assert "; foreign sound adds at most 2 in n + 1, with n normal clips" in earlier


def test_a_promise_says_what_machine_ids_not_trained_on_rest_on():
    deployed = thresholds("conformal", unseen_note="it rests on 2 machine IDs")
    assert "; it rests on 2 machine IDs; " in promise(deployed, [1.0], calibration(60))


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ({"per": "machine_type", "shared": 2.0}, ["2; of 3 held-out normal clips, 1 reaches it"]),
        ({"per": "machine_id", "shared": None}, ["machine ID all: 2", "machine ID 02: 3"]),
    ],
)
def test_a_machine_id_called_all_is_told_from_all(own, told):
    values = {"strategy": "conformal", "note": "", "by_machine_id": {"all": 2.0, "02": 3.0}}
    text = Elements(page(thresholds=SimpleNamespace(**values | own))).text
    assert all(line in text for line in told)


def test_where_no_rate_is_promised_the_page_says_so_and_why():
    note = "conformal cannot be given: too few clips"
    deployed = thresholds(
        "validation_mean_plus_k_std", note=note, shared=None, false_alarm_rate=None
    )
    assert promise(deployed, [1.0], calibration(60)) == f"no false-alarm rate ({note})"
