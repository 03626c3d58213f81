"""An alarm begins by k of n looks, ends after m normal segments, and nothing is passed over."""

import pytest

from anomalous_sound.decision.alarms import AlarmState, Change, Looks
from anomalous_sound.decision.promise import AlarmRule


@pytest.fixture
def state():
    rule = AlarmRule(needed=2, window=3, rate=0.1, spacing_s=60.0, per_look=0.01, share_found=0.8)
    return AlarmState(rule, recover_after=3)


def steps(state, text):
    """Take segments.

    + is above, - below, ? above and in doubt, b above and between looks, x not judged.
    """
    found = []
    for one in text:
        if one == "x":
            state.miss()
            continue
        doubt = "sensor" if one == "?" else ""
        found.append(state.step(one != "-", is_look=one != "b", doubt=doubt))
    return found


def changes(state, text):
    names = {Change.NONE: ".", Change.BEGINS: "B", Change.ENDS: "E"}
    return "".join(names[step.change] for step in steps(state, text))


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ("+--+--", "......"),  # too far apart
        ("+-+", "..B"),
        ("++---", ".B..E"),
        ("++--+---", ".B.....E"),  # a row that is broken begins anew
        ("++----+-+", ".B..E...B"),  # votes before the alarm do not count again
        ("++---+", ".B..E."),
        ("+b+", "..B"),
        ("bbbb", "...."),
        ("+??+", "...."),  # a doubtful look takes its place and does not vote
        ("++--?---", ".B.....E"),
        ("+xx+", ".."),
        ("++--x-", ".B..."),
    ],
)
def test_alarms_begin_and_end(state, segments, expected):
    assert changes(state, segments) == expected


def test_every_segment_above_the_threshold_makes_an_alarm_or_says_why_not(state):
    text = "+-b-+++b?---++"
    found = steps(state, text)
    for one, step in zip(text, found, strict=True):
        if one == "-":
            assert step.suppressed == ""
        else:
            assert (step.suppressed == "") == (step.change == Change.BEGINS)
    reasons = [step.suppressed for step in found if step.suppressed]
    assert reasons[0] == "1 of the last 1 looks; an alarm needs 2 of 3"
    assert reasons[1] == "between two looks, which are 1 min apart"
    assert "the alarm is on already" in reasons


def test_what_happened_during_an_alarm_is_counted(state):
    end = steps(state, "+++-+---")[-1]
    assert end.change == Change.ENDS
    assert (end.votes, end.looks, end.normal_in_a_row) == (2, 6, 3)


def test_looks_are_apart():
    looks = Looks(60.0)
    taken = [at for at in range(0, 200, 7) if looks.take(float(at))]
    assert taken == [0, 63, 126, 189]
    tenths = Looks(0.3)  # 3 · 0.1 is not 0.3
    assert [tenths.take(0.1 * n) for n in range(7)] == [True, False, False] * 2 + [True]
