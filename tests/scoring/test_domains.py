"""Source and target domain: which normal clips a clip is compared with, and how much they count."""

import json

import numpy as np
import pandas as pd
import pytest
from features_of_report import FEATURES
from pydantic import TypeAdapter
from sklearn.covariance import LedoitWolf
from support import BAND_DEVIATION

from anomalous_sound.configuration.scoring import ScoreSettings
from anomalous_sound.configuration.training import DetectorSettings
from anomalous_sound.errors import InputError
from anomalous_sound.pipelines.inference import nodes
from anomalous_sound.scoring.domains import domains_of
from anomalous_sound.scoring.left_out import LeftOut, check_enough
from anomalous_sound.scoring.score import Score
from anomalous_sound.scoring.scores import fit_and_score_left_out, fit_score

BANDS = BAND_DEVIATION | {"reads": "spectrum", "reference": "domain"}
DENSITY = BANDS | {"backend": {"type": "local_density", "neighbours": 2}}
JOINED = {"type": "joined", "parts": [BANDS, DENSITY], "fits": 100}

# two Gaussians, one of many clips and one of few
RNG = np.random.default_rng(8)
SOURCE = RNG.standard_normal((60, 3)) @ np.array([[1.0, 0.5, 0], [0, 1, 0], [0, 0, 0.2]])
TARGET = 10 + RNG.standard_normal((8, 3)) @ np.array([[3.0, 0, 0], [0, 1, -0.5], [0, 0, 1]])
NORMAL = np.concatenate([SOURCE, TARGET])
DOMAINS = np.array(["source"] * 60 + ["target"] * 8, dtype=object)
IDS = np.full(68, "00", dtype=object)
NEW = np.array([[0.5, -1.0, 0.1], [9.0, 10.0, 12.0], [5.0, 5.0, 5.0], [-8.0, 0.0, 0.0]])
NEW_IDS = np.full(4, "00", dtype=object)


def parsed(values):
    return TypeAdapter(ScoreSettings).validate_python(values)


def fit(pooled=NORMAL, ids=IDS, domains=DOMAINS, values=BANDS, **changes):
    return fit_score(parsed(values | changes), pooled, ids, seed=1, domains=domains)


def squared_distance(x, normal, whitening):
    z = (x - normal.mean(axis=0)) / normal.std(axis=0, ddof=1)
    if whitening == "band":
        return (z**2).mean(axis=1)
    rest = (normal - normal.mean(axis=0)) / normal.std(axis=0, ddof=1)
    shrunk = LedoitWolf(assume_centered=True).fit(rest).covariance_ * len(rest) / (len(rest) - 1)
    return np.einsum("ci,ij,cj->c", z, np.linalg.inv(shrunk), z) / 3


@pytest.mark.parametrize("whitening", ["band", "mahalanobis"])
def test_the_smaller_of_the_distances_to_two_gaussians(whitening):
    distances = [squared_distance(NEW, normal, whitening) for normal in (SOURCE, TARGET)]
    found = fit(whitening=whitening).score(NEW, NEW_IDS)
    np.testing.assert_allclose(found, 10 * np.log10(np.minimum(*distances)))
    # what is usual in the domain of few clips is usual, what lies between the domains is not
    assert distances[1][1] < 3 < distances[0][1]
    together = fit(whitening=whitening, reference="machine_id").score(NEW, NEW_IDS)
    assert together[2] < found[2]


def test_where_no_domain_is_known_the_machine_ids_clips_are_the_reference():
    expected = fit(reference="machine_id").score(NEW, NEW_IDS)
    for reference in ("domain", "balanced"):
        for unknown in (None, np.full(68, "", dtype=object)):
            found = fit(domains=unknown, reference=reference).score(NEW, NEW_IDS)
            assert np.array_equal(found, expected)


def test_a_machine_id_is_compared_with_domains_of_its_own():
    """02 has no target clips: to lie near those of 00 makes none of its clips normal."""
    more = np.concatenate([NORMAL, SOURCE[:20] - 5])
    ids = np.concatenate([IDS, np.full(20, "02", dtype=object)])
    domains = np.concatenate([DOMAINS, np.full(20, "source", dtype=object)])
    score = fit(more, ids, domains)
    near_target = TARGET[:1]
    of_00, of_02, of_none = (
        score.score(near_target, np.array([name], dtype=object))[0] for name in ("00", "02", "04")
    )
    source_alone = fit_score(
        parsed(BANDS | {"reference": "machine_id"}),
        more[domains == "source"],
        ids[domains == "source"],
        seed=1,
    )
    assert of_02 == source_alone.score(near_target, np.array(["02"], dtype=object))[0]
    assert of_00 < of_02 - 10  # dB
    assert of_none == of_00  # one without normal clips is compared with all


def test_balanced_domains_count_alike():
    """Four source clips around 0 and one target clip at 10: the mean is 5."""
    normal, domains = (
        np.array([[-1.0], [1], [-3], [3], [10]]),
        np.array(["source"] * 4 + ["target"]),
    )
    score = fit(normal, IDS[:5], domains, reference="balanced", backend={"type": "mean"})
    weights = np.array([5 / 8] * 4 + [5 / 2])
    variance = (weights * (normal[:, 0] - 5) ** 2).sum() / (5 - (weights**2).sum() / 5)
    found = score.score(np.array([[5.0], [8.0]]), IDS[:2])
    np.testing.assert_allclose(found, [0, 3 / np.sqrt(variance)], atol=1e-12)


def test_a_balanced_variance_is_not_biased():
    """Over many draws, clips of one Gaussian have its variance, however unequal the domains are."""
    rng, domains = np.random.default_rng(0), np.array(["source"] * 9 + ["target"] * 2)
    variances = [
        fit(rng.standard_normal((11, 200)), IDS[:11], domains, reference="balanced").deviations ** 2
        for _ in range(50)
    ]
    assert np.mean(variances) == pytest.approx(1, abs=0.02)


def test_a_balanced_reference_is_that_of_repeated_target_clips():
    """15 of each target clip are as many as the source clips: the same mean and correlations."""
    repeated = np.concatenate([SOURCE, np.repeat(TARGET[:4], 15, axis=0)])
    chosen = np.arange(64)
    found = fit(NORMAL[chosen], IDS[chosen], DOMAINS[chosen], reference="balanced")
    same = fit(repeated, np.full(120, "00", dtype=object), None, reference="machine_id")
    np.testing.assert_allclose(found.means["00"], same.means["00"])
    ratios = found.deviations / same.deviations
    np.testing.assert_allclose(ratios, ratios[0])  # fewer degrees of freedom
    assert ratios[0] > 1


def test_domains_of_one_size_are_balanced_already():
    normal, domains = NORMAL[-16:], np.array(["source", "target"] * 8)
    for whitening in ("band", "mahalanobis"):
        found, expected = (
            fit(normal, IDS[:16], domains, reference=reference, whitening=whitening)
            for reference in ("balanced", "machine_id")
        )
        assert np.array_equal(found.score(NEW, NEW_IDS), expected.score(NEW, NEW_IDS))


@pytest.mark.parametrize("values", [BANDS, DENSITY, BANDS | {"reference": "balanced"}, JOINED])
def test_it_goes_to_json_and_back_without_losing_a_bit(values):
    score = fit_score(parsed(values), np.tile(NORMAL, 2), IDS, seed=1, domains=DOMAINS)
    written = json.dumps(score.to_json())
    again = Score.from_json(json.loads(written))
    new = np.tile(NEW, 2)
    assert np.array_equal(again.score(new, NEW_IDS), score.score(new, NEW_IDS))
    assert json.dumps(again.to_json()) == written
    assert again.settings == score.settings
    assert again.unit == score.unit


def test_a_normal_clip_left_out_is_compared_with_the_others_of_each_domain():
    values = JOINED | {"parts": [BANDS | {"reference": "balanced"}, DENSITY]}
    pooled = np.tile(NORMAL, 2)
    found = fit_and_score_left_out(
        parsed(values), pooled, IDS, LeftOut(np.arange(68)), seed=1, domains=DOMAINS
    )[1]
    parts = []
    for of_part in values["parts"]:
        alone = []
        for clip in range(68):
            others = np.arange(68) != clip
            fitted = fit(NORMAL[others], IDS[others], DOMAINS[others], of_part)
            alone.append(fitted.score(NORMAL[[clip]], IDS[[clip]])[0])
        parts.append((alone - np.mean(alone)) / np.std(alone, ddof=1))
    np.testing.assert_allclose(found, np.mean(parts, axis=0), rtol=1e-9)


@pytest.mark.parametrize("reference", ["domain", "balanced"])
def test_the_domain_of_a_clip_that_is_judged_is_not_read(reference):
    def scored(of_test):
        clips = pd.DataFrame(
            {
                "clip_id": [f"c{number}" for number in range(72)],
                "machine_type": "fan",
                "machine_id": "00",
                "split": ["train"] * 68 + ["test"] * 4,
                "label": "normal",
                "recording": "",
                "start_s": 0.0,
                "domain": [*DOMAINS, *of_test],
            }
        )
        pooled = pd.DataFrame(np.concatenate([NORMAL, NEW]), columns=["a", "b", "c"])
        pooled.insert(0, "clip_id", clips.clip_id)
        pooled.insert(1, "member", "")
        how = {"name": None, "per": "machine_type", "folds": 1}
        detector = DetectorSettings(**how, left_out="clip", left_out_fits=100, channels="mean")
        settings = parsed(BANDS | {"reference": reference})
        folds = pd.DataFrame({"clip_id": [], "fold": []})
        fitted, _ = nodes.fit_score(pooled, clips, folds, settings, FEATURES.audio, detector, 1)
        return nodes.score_clips(pooled, clips, fitted).score.to_numpy()

    found = scored(["source", "target", "source", "target"])
    assert np.array_equal(found, scored(["target", "source", "", ""]))
    expected = fit(reference=reference).score(NEW, NEW_IDS)
    np.testing.assert_allclose(found[-4:], expected)


def test_domains_of_a_table():
    assert domains_of(pd.DataFrame({"clip_id": ["a"]})).tolist() == [""]
    table = pd.DataFrame({"domain": ["source", None, "target"]})
    assert domains_of(table).tolist() == ["source", "", "target"]


@pytest.mark.parametrize(
    ("domains", "parts", "enough"),
    [
        (["source"] * 3 + ["target"] * 2, None, True),
        (["source"] * 4 + ["target"], None, False),
        (["source"] * 3 + ["target"] * 2, [0, 1, 2, 3, 4], False),
        (["source"] * 3 + ["target"] * 2, [0, 1, 2, 3, 3], True),  # no target clip is left
        (["source"] * 5, [0, 1, 2, 3, 4], True),
    ],
)
def test_too_few_clips_of_a_domain_are_told_of_before_anything_is_fitted(domains, parts, enough):
    left_out = None if parts is None else LeftOut(np.array(parts))
    ids, domains = IDS[:5], np.array(domains, dtype=object)
    check_enough(parsed(BANDS | {"reference": "balanced"}), ids, left_out, domains)
    if enough:
        check_enough(parsed(JOINED), ids, left_out, domains)
        return
    with pytest.raises(InputError, match="too few normal training clips of the target domain: "):
        check_enough(parsed(JOINED), ids, left_out, domains)
