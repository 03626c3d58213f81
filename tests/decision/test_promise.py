"""The rule keeps what is promised: closed forms, brute force, and simulated streams."""

from itertools import permutations
from math import comb

import numpy as np
import pytest
from scipy import stats

from anomalous_sound.decision.alarms import AlarmState, Change, Looks
from anomalous_sound.decision.calibration import conformal_threshold
from anomalous_sound.decision.promise import (
    Wish,
    clips_for,
    false_alarms_per_look,
    find_rule,
    in_time,
    longest_promise,
)
from anomalous_sound.errors import InputError

DAY = 86400.0


def wish(**changed):
    known = {"every_s": 30 * DAY, "within_s": 600.0, "spacing_s": 60.0, "independent": True}
    return Wish(**known | {"rate": None} | changed)


def test_under_any_dependence_alarms_are_at_most_a_kth_of_the_votes():
    found = false_alarms_per_look(99, 2, np.array([1, 4, 10]), 10, independent=False)
    np.testing.assert_allclose(found, [2 / 100, 2 / 400, 2 / 1000])


def test_all_looks_above_all_clips_is_one_order_of_ranks():
    # of the C + n ranks, the n highest are those of the looks
    for clips, window in ((20, 7), (100, 3), (5, 5)):
        found = false_alarms_per_look(clips, 1, window, window, independent=True)
        assert found == pytest.approx(1 / comb(clips + window, window), rel=1e-9)
        best = longest_promise(clips, window, independent=True)
        assert best == pytest.approx(max(comb(clips + window, window), window * (clips + 1)))


@pytest.mark.parametrize(("clips", "allowed", "window", "needed"), [(4, 2, 3, 2), (3, 1, 4, 3)])
def test_the_bound_counts_all_orders_of_ranks(clips, allowed, window, needed):
    alarms = orders = 0
    for ranks in permutations(range(clips + window)):
        calibration, looks = ranks[:clips], ranks[clips:]
        highest = sorted(calibration)[-allowed]
        votes = [rank > highest for rank in looks]
        alarms += votes[-1] and sum(votes) >= needed
        orders += 1
    found = false_alarms_per_look(clips, allowed, needed, window, independent=True)
    # what is proven under any dependence holds here too
    assert found == pytest.approx(min(alarms / orders, allowed / (clips + 1) / needed))


def test_as_many_clips_as_the_refusal_asks_for_do():
    for independent, window, looks in ((True, 10, 43200), (False, 60, 259200), (True, 1, 999)):
        needed = clips_for(looks, window, independent=independent)
        assert longest_promise(needed, window, independent=independent) >= looks * (1 - 1e-9)
        assert longest_promise(needed - 1, window, independent=independent) < looks
    assert clips_for(259200, 60, independent=False) == 259200 // 60 - 1
    assert clips_for(1000, 1, independent=True) == 999


def test_the_rule_keeps_the_promise_for_each_machine_id():
    rule = find_rule({"00": 100, "02": 37}, wish())
    assert rule.per_look * 43200 <= 1 + 1e-9
    for clips in (100, 37):
        allowed = int(rule.rate * (clips + 1) + 1e-9)
        found = false_alarms_per_look(clips, allowed, rule.needed, 10, independent=True)
        assert found <= rule.per_look + 1e-15
    # one vote fewer would break it for one of them
    fewer = [
        false_alarms_per_look(
            *(clips, int(rule.rate * (clips + 1) + 1e-9), rule.needed - 1, 10), independent=True
        )
        for clips in (100, 37)
    ]
    assert max(fewer) * 43200 > 1
    share = rule.share_found
    assert stats.binom.sf(rule.needed - 1, 10, share) == pytest.approx(0.9)


def test_the_rate_that_the_user_gives_is_kept():
    assert find_rule({"00": 100}, wish(rate=0.05)).rate == 0.05


@pytest.mark.parametrize(
    ("clips", "changed", "parts"),
    [
        (100, {"independent": False, "spacing_s": 10.0},
         ["60 looks within 10 min", "one in 16.8 h", "4,319 normal clips", "--independent-after"]),
        (6, {}, ["6 normal clips of machine ID 00", "one in 5.56 days", "8 normal clips"]),
        (6, {"rate": 0.01}, ["0.01 needs 99 normal clips", "there are 6"]),
        (20, {"rate": 0.5}, ["votes at the rate 0.5", "leave --false-alarm-rate out"]),
    ],
)  # fmt: skip
def test_what_cannot_be_carried_is_refused(clips, changed, parts):
    with pytest.raises(InputError) as error:
        find_rule({"00": clips}, wish(**changed))
    for part in parts:
        assert part in str(error.value)


def alarms_in(above, rule, recover_after=5, spacing=1):
    state, looks, begun = AlarmState(rule, recover_after), Looks(rule.spacing_s), 0
    for at, one in enumerate(above):
        is_look = looks.take(at * rule.spacing_s / spacing)
        begun += state.step(bool(one), is_look=is_look).change == Change.BEGINS
    return begun


def test_simulated_machines_keep_it_on_average_and_the_bound_is_not_idle():
    # rare enough to test the bound, and frequent enough to be counted
    asked = wish(every_s=300 * 60.0, within_s=240.0)
    rule = find_rule({"": 30}, asked)
    rng, counts, looks = np.random.default_rng(1), [], 300
    for _ in range(4000):  # each with calibration clips of its own
        threshold = conformal_threshold(rng.standard_normal(30), rule.rate)
        counts.append(alarms_in(rng.standard_normal(looks) >= threshold, rule))
    error = np.std(counts) / np.sqrt(len(counts))
    assert np.mean(counts) <= 1 + 4 * error
    assert np.mean(counts) > 0.2


def test_streams_that_hang_together_keep_what_holds_under_any_dependence():
    asked = wish(every_s=2000 * 60.0, within_s=6000.0, independent=False)
    rule = find_rule({"": 60}, asked)
    rng, counts, looks, kept = np.random.default_rng(2), [], 2000, 0.98
    for _ in range(400):
        threshold = conformal_threshold(rng.standard_normal(60), rule.rate)
        steps = np.sqrt(1 - kept**2) * rng.standard_normal(looks)
        scores = np.empty(looks)
        scores[0] = rng.standard_normal()
        for at in range(1, looks):
            scores[at] = kept * scores[at - 1] + steps[at]
        counts.append(alarms_in(scores >= threshold, rule))
    error = np.std(counts) / np.sqrt(len(counts))
    assert np.mean(counts) <= 1 + 4 * error


def test_times_are_rounded_down():
    assert in_time(1.999 * DAY) == "47.9 h"
    assert in_time(400 * DAY) == "400 days"
    assert in_time(7) == "7 s"
