"""The page of a watch: what is in it."""

import numpy as np
import soundfile
from clips_to_show import sound_of
from elements import Elements, content
from support import RATE
from watch_to_show import CLIPS, clip, page_of_watch, watching


def test_three_lines_come_first():
    text = Elements(page_of_watch()).text
    assert (
        "Heard40 min of sound in 600 segments, since 2026-03-14 02:00:00 +01:00; machine type "
        "slider, machine IDs 00, 02; 3 segments could not be judged"
    ) in text
    assert (
        "Alarms1 alarm (on now: machine ID 00); 7 suppressed: above the threshold, but no alarm; "
        "8 of 600 segments anomalous by themselves; 2 not counted as normal, as the sensor was in "
        "doubt; no drift; 4 sensor events (level 1, silence 3)"
    ) in text
    assert "Promisedat most one false alarm in 30 days of each machine ID" in text
    assert text.index("Promised") < text.index("Anomalous clips")


def test_what_is_foreign_may_be_the_machine():
    text = Elements(page_of_watch(sensor={"foreign": 2})).text
    assert "2 sensor events (foreign sound or a new fault 2)" in text


def test_what_was_not_watched_for_is_said_and_not_counted():
    text = Elements(page_of_watch(watches_for=frozenset(), sensor={}, alarms_on=set())).text
    assert (
        "Alarms8 of 600 segments anomalous; no rule for alarms was asked for "
        "(--false-alarm-every); 2 not counted as normal, as the sensor was in doubt; drift was not "
        "watched for; no sensor event"
    ) in text


def test_a_watch_that_has_heard_nothing_says_so():
    nothing = {"seconds": 0.0, "segments": {}, "events": {}, "sensor": {}, "alarms_on": set()}
    text = Elements(page_of_watch([], happened=[], told=0, **nothing)).text
    assert "Heardnothing that could be judged, since 2026-03-14 02:00:00 +01:00" in text
    assert "Alarmsno alarm; 0 suppressed" in text
    assert "Anomalous clips None so far." in text


def test_a_watch_that_has_decided_nothing_does_not_look_well():
    nothing = {"segments": {"undecided": 3}, "events": {}, "sensor": {}, "alarms_on": set()}
    text = Elements(page_of_watch([], watches_for=frozenset(), **nothing)).text
    assert "Alarmsno segment could be decided; no rule for alarms was asked for" in text
    assert "3 undecided: no normal clip of their machine ID, or as long, has calibrated" in text
    told = Elements(page_of_watch([], **nothing)).text
    assert "but no alarm; no segment could be decided; 3 undecided" in told


def test_it_says_whether_it_goes_on():
    going_on = Elements(page_of_watch()).text
    assert "As of 2026-03-14 02:15:01 +01:00; the watch goes on." in going_on
    ended = Elements(page_of_watch(ended="it was stopped")).text
    assert "The watch ended at 2026-03-14 02:15:01 +01:00: it was stopped." in ended


def test_a_clip_has_its_sound_its_events_and_the_words_for_feedback():
    elements = Elements(page_of_watch())
    first, second = elements.all("audio")
    sounds = [soundfile.read(content(one["src"])) for one in (first, second)]
    assert {rate for _, rate in sounds} == {RATE}
    # one gain for both: the louder one reaches 0.9
    peaks = [np.abs(sound_of(name)).max() for name in ("b.wav", "c.wav")]
    for (sound, _), name in zip(sounds, ("b.wav", "c.wav"), strict=True):
        expected = 0.9 / max(peaks) * sound_of(name)
        np.testing.assert_allclose(sound, expected, atol=1 / 2**15)
    assert len(elements.all("rect")) == 2  # on spectrogram and deviation of the first
    assert len(elements.all("svg")) == 4
    assert (
        "anomalous-sound feedback id-b.wav --kept '/hall 3/kept' --fault or --normal"
        in elements.text
    )
    assert "lies most of all around 820 Hz" in elements.text  # of the second, without an event
    assert "The sensor is in doubt: level" in elements.text
    assert "feedback" not in Elements(page_of_watch(kept=None)).text
    foreign = clip("b.wav", at="2026-03-14T02:15:00+01:00", sensor=["foreign"])
    assert "in doubt:" not in Elements(page_of_watch([foreign])).text


def test_a_clip_is_called_by_its_file_or_by_the_time_of_a_stream():
    one = clip("b.wav", at="2026-03-14T02:15:00+01:00", start_s=3620.0)
    of_file = Elements(page_of_watch([one])).text
    assert "b.wav at 1:00:20 anomalous" in of_file
    assert "judged at 2026-03-14 02:15:00 +01:00; /in/b.wav" in of_file
    of_stream = Elements(page_of_watch([one], is_stream=True, place="standard input")).text
    assert "2026-03-14 02:15:00 +01:00 anomalous" in of_stream
    assert "1:00:20 after the start" in of_stream


def test_only_what_differs_can_be_filtered():
    names = [one["name"] for one in Elements(page_of_watch()).all("select")]
    assert names == ["machine_id", "alarm"]
    assert Elements(page_of_watch(CLIPS[:1])).all("select") == []


def test_what_happened_is_listed_and_how_much_of_it():
    text = Elements(page_of_watch(told=900)).text
    assert "the last 2 of 900" in text
    assert "2026-03-14 02:15:01 +01:00ALARM: machine ID 00, /in/b.wav at 0:00:00" in text


def test_names_are_text_and_nothing_is_fetched():
    awkward = clip("b.wav", at="2026-03-14T02:15:00+01:00", machine_id="<i>")
    elements = Elements(page_of_watch([awkward], place='/in/"><img src=x>', machine_ids={"<u>"}))
    for tag in ("img", "i", "u", "link", "iframe"):
        assert elements.all(tag) == [], tag
    assert '"><img src=x>' in elements.text
    for _, attributes in elements.found:
        for name in ("src", "href"):
            assert attributes.get(name, "data:").startswith("data:")


def test_a_detector_of_simulated_sound_is_called_so():
    simulated = Elements(page_of_watch(detector=watching(simulated=True))).text
    assert "The detector was trained on simulated data:" in simulated
    assert "simulated" not in Elements(page_of_watch()).text
