import copy

import pytest
from kedro.config import OmegaConfigLoader
from support import REPOSITORY

from anomalous_sound.errors import InputError
from anomalous_sound.methods.discovery import trained_methods
from anomalous_sound.parameters import parse_parameters
from anomalous_sound.settings import CONFIG_LOADER_ARGS

BANDS = {
    "type": "band_deviation",
    "reads": "errors",
    "pooling": {"type": "ranked", "decay": 0.5},
    "scale": "logarithmic",
    "whitening": "mahalanobis",
    "reference": "machine_id",
    "prior_clips": 0.0,
    "backend": {"type": "gaussian_mixture", "components": 1, "reg_covar": 0.1},
}


@pytest.fixture
def parameters():
    """The parameters as Kedro reads them."""
    loader = OmegaConfigLoader(str(REPOSITORY / "conf"), env="base", **CONFIG_LOADER_ARGS)
    return loader["parameters"]


def changed(parameters, name, value):
    *groups, last = name.split(".")
    result = copy.deepcopy(parameters)
    group = result
    for key in groups:
        group = group[key]
    group[last] = value
    return result


def test_the_configuration_is_accepted(parameters):
    parse_parameters(parameters)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("lstm.score.type", "best", "'best'; accepted: pooled_error, band_deviation, joined"),
        ("lstm.score.fits", 0, "0; accepted: a whole number above 0"),
        ("lstm.training.epochs", -3, "-3; accepted: a whole number above 0"),
        ("lstm.training.epochs", 2.5, "2.5; accepted: a whole number above 0"),
        ("lstm.training.epochs", "many", "'many'; accepted: a whole number"),
        ("lstm.training.learning_rate", 0.0, "0.0; accepted: a number above 0"),
        ("lstm.training.learning_rate", float("nan"), "nan; accepted: a number above 0"),
        ("lstm.training.accelerator", "gpu", "'gpu'; accepted: auto, cpu, cuda, mps"),
        (
            "thresholds.deployed",
            "oracle_nearest_corner",
            "accepted: conformal, student_t, gamma, validation_mean, validation_mean_plus_variance",
        ),
        ("thresholds.percentile", 101, "101; accepted: a number at least 0 and at most 100"),
        ("lstm.network", 3, "'lstm.network' is 3; it is a group: give architecture, hidden_size"),
        ("audio.channel", -1, "-1; accepted: a whole number at least 0 or mean"),
        ("audio.channel", "left", "'left'; accepted: a whole number at least 0 or mean"),
        ("corpus.machine_ids", "00", "'00'; accepted: a list of: text in quotes or null"),
        ("corpus.machine_ids", [0, 2], r"\[0, 2\]|accepted: a list of: text in quotes or null"),
        ("corpus.validation_fraction", 1.0, "1.0; accepted: a number above 0 and below 1"),
        ("scaling.method", "whole", "'whole'; accepted: clip, corpus, band, none"),
        ("seed", "one", "'one'; accepted: a whole number at least 0 and below 2147483648"),
        ("engine.type", "spark", "'spark'; accepted: local, dask"),
        ("engine.devices", 0, "0; accepted: a whole number above 0"),
        ("jobs", 0, "0; accepted: a whole number above 0 or -1"),
        (
            "storage",
            "sftp://ada:secret@hall/x",
            r"is sftp://ada:\*\*\*@hall/x; accepted: a URL with",
        ),
        (
            "audio_dir",
            "ftp://ada:secret@hall/x",
            r"is ftp://ada:\*\*\*@hall/x; accepted: a URL with",
        ),
        ("audio_dir", "s3://hall/x?token=secret", r"is s3://hall/x\?\*\*\*; accepted: a URL with"),
        ("audio_dri", "x", "unknown parameter 'audio_dri'; did you mean 'audio_dir'?"),
        (
            "lstm.training.epoch",
            3,
            r"unknown parameter 'lstm.training.epoch'; did you mean 'lstm.training.epochs'\? "
            "accepted here: accelerator, batch_size, epochs, learning_rate, precision, stride, "
            "threads",
        ),
    ],
)
def test_a_wrong_parameter_is_named_with_what_is_accepted(parameters, name, value, message):
    with pytest.raises(InputError, match=message) as error:
        parse_parameters(changed(parameters, name, value))
    assert f"'{name}'" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_parameter(parameters):
    del parameters["lstm"]["training"]["epochs"]
    with pytest.raises(InputError, match="parameter 'lstm.training.epochs' is missing"):
        parse_parameters(parameters)


def test_a_window_longer_than_the_shortest_clip_would_lose_clips(parameters):
    message = "'corpus.min_frames' is 11; accepted: at least 21, the frames that a window of 'win"
    with pytest.raises(InputError, match=message):
        parse_parameters(changed(parameters, "windows.length", 20))
    longer = changed(parameters, "windows.length", 20)
    parse_parameters(changed(longer, "corpus.min_frames", 21))


@pytest.mark.parametrize("address", [None, "hall-1", "hall-1:x", ":29500"])
def test_several_hosts_need_the_address_of_the_first(parameters, address):
    of_two = changed(parameters, "engine.num_nodes", 2)
    message = r"'engine\.address' is .*; accepted with 'engine\.num_nodes' 2: HOST:PORT"
    with pytest.raises(InputError, match=message):
        parse_parameters(changed(of_two, "engine.address", address))
    parse_parameters(changed(of_two, "engine.address", "hall-1:29500"))
    parse_parameters(changed(parameters, "engine.address", address))


def test_an_architecture_has_its_own_sizes(parameters):
    with pytest.raises(InputError, match="'gru.network.decoder_input' is 'all'; accepted: states"):
        parse_parameters(changed(parameters, "gru.network.decoder_input", "all"))
    with pytest.raises(InputError, match=r"unknown parameter 'lstm\.network\.bottleneck'"):
        parse_parameters(changed(parameters, "lstm.network.bottleneck", 8))
    with pytest.raises(InputError, match="'lstm.network.architecture' is 'cnn'; accepted: lstm_p"):
        parse_parameters(changed(parameters, "lstm.network.architecture", "cnn"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("windows.next_frame", False),
        ("autoencoder.windows.next_frame", True),
        (
            "lstm.network",
            {
                "architecture": "gru_autoencoder",
                "hidden_size": 8,
                "num_layers": 1,
                "decoder_input": "states",
                "masked_frames": "none",
            },
        ),
    ],
)
def test_a_method_is_not_fed_with_anothers_windows_or_network(parameters, name, value):
    with pytest.raises(InputError, match=f"parameter '{name}.* accepted: "):
        parse_parameters(changed(parameters, name, value))


def test_all_mistakes_are_told_at_once(parameters):
    wrong = changed(changed(parameters, "seed", -1), "lstm.training.epochs", 0)
    with pytest.raises(InputError, match=r"'seed' .*; parameter 'lstm\.training\.epochs'"):
        parse_parameters(wrong)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("pooling.type", "middle", "'middle'; accepted: mean, median, maximum, percentile"),
        ("backend.components", 0, "0; accepted: a whole number above 0"),
        ("reads", "sound", "'sound'; accepted: errors, spectrum"),
    ],
)
def test_a_wrong_option_of_a_score_is_named(parameters, name, value, message):
    alone = changed(parameters, "lstm.score", copy.deepcopy(BANDS))
    with pytest.raises(InputError, match=message):
        parse_parameters(changed(alone, f"lstm.score.{name}", value))
    parts = [BANDS, changed(alone, f"lstm.score.{name}", value)["lstm"]["score"]]
    joined = {"type": "joined", "fits": 9, "parts": parts}
    with pytest.raises(InputError, match=f"'lstm.score.parts.1.{name}' is {message}"):
        parse_parameters(changed(parameters, "lstm.score", joined))


def test_another_type_of_a_tagged_group_leaves_its_options_behind(parameters):
    parameters = changed(parameters, "lstm.score", copy.deepcopy(BANDS))
    other = changed(parameters, "lstm.score.pooling.type", "mean")
    assert "decay" in other["lstm"]["score"]["pooling"]  # as Kedro merges it
    assert parse_parameters(other).lstm.score.pooling.model_dump() == {"type": "mean"}
    alone = changed(parameters, "lstm.score.pooling", "median")
    assert parse_parameters(alone).lstm.score.pooling.model_dump() == {"type": "median"}
    with pytest.raises(InputError, match=r"unknown parameter 'lstm\.score\.pooling\.dekay'"):
        parse_parameters(changed(parameters, "lstm.score.pooling.dekay", 0.5))
    with pytest.raises(InputError, match=r"parameter 'lstm\.score\.pooling\.decay' is missing"):
        parse_parameters(changed(alone, "lstm.score.pooling", {"type": "ranked"}))


def test_a_score_given_to_one_method_for_one_run_leaves_the_others_alone():
    given = {"lstm": {"score": {"fits": 7}}}
    loader = OmegaConfigLoader(
        str(REPOSITORY / "conf"), env="base", runtime_params=given, **CONFIG_LOADER_ARGS
    )
    parsed = parse_parameters(loader["parameters"])
    assert parsed.lstm.score.fits == 7
    others = [method for method in trained_methods() if method != "lstm"]
    assert {getattr(parsed, name).score.fits for name in others} == {100}


def test_folds_are_a_matter_of_the_detector_now(parameters):
    with pytest.raises(InputError, match=r"'thresholds\.folds' is now 'detector\.folds'"):
        parse_parameters(changed(parameters, "thresholds.folds", 5))


@pytest.mark.parametrize("group", ["detector", "thresholds"])
def test_whole_machine_ids_are_left_out_of_what_they_share(parameters, group):
    left_out = changed(parameters, "detector.left_out", "machine_id")
    assert not parse_parameters(left_out).detector.holds_out_validation
    with pytest.raises(InputError, match=r"parameter '\w+\.\w+' is machine_id.* machine_type"):
        parse_parameters(changed(left_out, f"{group}.per", "machine_id"))


def test_validation_clips_are_held_out_of_one_network_alone(parameters):
    assert not parse_parameters(
        changed(parameters, "detector.folds", 2)
    ).detector.holds_out_validation
    assert parse_parameters(changed(parameters, "detector.folds", 1)).detector.holds_out_validation


def test_a_run_goes_by_what_its_configuration_was_when_it_began(project):
    with project.session() as session:
        loader = session.load_context().config_loader
        seed = loader["parameters"]["seed"]
        loader["parameters"]["seed"] = loader["globals"]["runs"]["locks"] = "changed by a reader"
        project.configure("parameters", {"seed": seed + 1})
        assert loader["parameters"]["seed"] == seed
        assert loader["globals"]["runs"]["locks"] != "changed by a reader"
        loader["globals"] = {"runs": {}}
        assert loader["globals"] == {"runs": {}}
    with project.session() as session:
        assert session.load_context().config_loader["parameters"]["seed"] == seed + 1
