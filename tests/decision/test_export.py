"""An export gives the scores and verdicts of its detector, and needs no PyTorch."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from light import command_light, heavy_modules, run_light
from support import Project

from anomalous_sound import Detector, Rejection
from anomalous_sound.command.exporting import write_export
from anomalous_sound.decision.detector_files import SETTINGS_FILE
from anomalous_sound.decision.export import TOLERANCE, compare, export
from anomalous_sound.errors import InputError
from anomalous_sound.methods.discovery import trained_methods

JUDGING = [
    *("app", "choice", "description", "lines", "recordings"),
    *("watch.command", "watch.following", "watch.stream", "watch.watching"),
]


def test_what_judges_is_imported_without_the_heavy_packages():
    assert {"torch", "pandas", "sklearn", "scipy", "kedro", "mlflow"} <= heavy_modules(
        "report", "train"
    )
    modules = [f"anomalous_sound.command.{name}" for name in JUDGING]
    modules += ["anomalous_sound.decision.detector", "anomalous_sound.scoring.onnx_runner"]
    found = run_light("\n".join(f"import {name}" for name in modules))
    assert (found.returncode, found.stderr) == (0, "")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The standard profile (two networks, a joined score) on a small simulated corpus."""
    project = Project(tmp_path_factory.mktemp("run"))
    project.run(to_outputs=["lstm.detector"], profile="standard")
    return project


@pytest.fixture(scope="module")
def clips(run):
    return run.data("01_raw/simulated/slider")


@pytest.fixture(scope="module")
def folder(run):
    return run.data("06_models/slider/lstm/detector")


@pytest.fixture(scope="module")
def out(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "export"
    write_export(Detector.load(folder), out, None)
    return out


def lines(result):
    assert result.returncode in (0, 1), result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def verdicts(detector, paths):
    ids = [path.name.split("_id_")[1][:2] for path in paths]
    return [detector.judge_file(one, machine_id=i) for one, i in zip(paths, ids, strict=True)]


def check_that_all_agree(run, method, clips, out, elsewhere):
    """Compare library, command, pipeline and export on the clips of a folder, one by one."""
    detector = Detector.load(run.data(f"06_models/slider/{method}/detector"))
    exported = Detector.load(out)
    paths = sorted(clips.rglob("*.wav"))
    first, second = verdicts(detector, paths), verdicts(exported, paths)
    assert compare(detector, zip(first, second, strict=True)).clips == len(paths)
    for one, other in zip(first, second, strict=True):
        assert (other.decision, other.threshold) == (one.decision, one.threshold)
        assert (other.p_value, other.evidence) == (one.p_value, one.evidence)
    of_command = {
        Path(line["source"]): line
        for line in lines(command_light("score", clips, "--detector", out, "--json"))
    }
    # the pipeline takes an export in place of its detector
    elsewhere.mkdir()
    other_project = Project(elsewhere)
    shutil.copytree(out, other_project.data(f"06_models/slider/{method}/detector"))
    tables = []
    for project in (run, other_project):
        project.run(
            "score",
            to_outputs=["score.decisions"],
            audio_dir=str(clips),
            inference={"method": method},
        )
        tables.append(project.load("score.decisions").set_index("clip_id"))
    for path, one, other in zip(paths, first, second, strict=True):
        assert of_command[path]["score"] == other.score  # to the last bit: it is one code
        assert of_command[path]["decision"] == one.decision
        clip_id = path.relative_to(clips).as_posix()
        for table, verdict in zip(tables, (one, other), strict=True):
            row = table.loc[clip_id]
            assert (row.score, row.decision) == (verdict.score, verdict.decision)
    return first, second


@pytest.mark.slow
def test_library_command_pipeline_and_export_agree(run, clips, out, tmp_path):
    first, second = check_that_all_agree(run, "lstm", clips, out, tmp_path / "elsewhere")
    assert {verdict.decision for verdict in first} == {"normal", "anomalous"}
    for one, other in zip(first, second, strict=True):
        assert other.score == pytest.approx(one.score, rel=TOLERANCE)
        assert other.segments[0].start_s == one.segments[0].start_s
        assert other.bands[0].low_hz == one.bands[0].low_hz


@pytest.mark.slow
def test_a_folder_with_labels_is_judged_and_watched_without_pytorch(clips, out, tmp_path):
    place = tmp_path / "press"
    place.mkdir()
    source = min(clips.glob("test/anomaly_id_02_*.wav"))
    shutil.copy(source, place / "monday.wav")
    (place / "labels.csv").write_text("file,label,machine_id\nmonday.wav,unknown,02\n")
    (line,) = lines(command_light("score", place, "--detector", out, "--json"))
    assert line["machine_id"] == "02"
    assert line["detector"]["exported_from"]
    watched = command_light(
        *("watch", place, "--once", "--settled-after", "0", "--machine-id", "02"),
        *("--detector", out, "--json"),
    )
    verdict = lines(watched)[0]
    assert (verdict["event"], verdict["score"]) == ("verdict", line["score"])


_SERVE_ONCE = """
import os, signal, sys, threading, urllib.request
import uvicorn
from anomalous_sound.command.app import run

place, clip = sys.argv[1:]
sys.argv = ["anomalous-sound", "serve", "--detector", place, "--port", "0"]
begin = uvicorn.Server.startup


def ask(port):
    try:
        address = f"http://127.0.0.1:{port}/judge?machine_id=02"
        with open(clip, "rb") as file:
            request = urllib.request.Request(address, file.read(), {"Content-Type": "audio/wav"})
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        print(direct.open(request, timeout=60).read().decode(), flush=True)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


async def startup(self, sockets):
    await begin(self, sockets=sockets)
    threading.Thread(target=ask, args=[sockets[0].getsockname()[1]]).start()


uvicorn.Server.startup = startup
run()
"""


@pytest.mark.slow
def test_an_export_is_served_without_pytorch(clips, out):
    clip = min(clips.glob("test/anomaly_id_02_*.wav"))
    served = run_light(_SERVE_ONCE, out, clip)
    assert (served.returncode, served.stderr) == (0, "")
    told, answer = served.stdout.splitlines()
    assert told.startswith("Listening at ")
    (verdict,) = json.loads(answer)["verdicts"]
    expected = Detector.load(out).judge_file(clip, machine_id="02")
    assert verdict == {**expected.to_json(), "source": "-"}


def watch_once(clips, out, page, tmp_path, **options):
    """Watch a folder with one clip, and write a page of it."""
    place = tmp_path / "press"
    place.mkdir()
    shutil.copy(min(clips.glob("test/anomaly_id_02_*.wav")), place / "a.wav")
    return command_light(
        *("watch", place, "--once", "--settled-after", "0", "--machine-id", "02"),
        *("--detector", out, "--false-alarm-rate", "0.4"),
        *("--kept", tmp_path / "kept", "--report", page),
        **options,
    )


@pytest.mark.slow
def test_a_watch_writes_its_page_without_pytorch(clips, out, tmp_path):
    page = tmp_path / "watch.html"
    watched = watch_once(clips, out, page, tmp_path, without=("train",))
    assert watched.returncode in (0, 1), watched.stderr
    text = page.read_text(encoding="utf-8")
    assert "in 1 segment," in text
    assert text.count("<audio") == watched.stdout.count("  anomalous: ")
    assert "<dt>exported from</dt>" in text


@pytest.mark.slow
def test_what_the_page_lacks_is_told_before_anything_is_judged(clips, out, tmp_path):
    watched = watch_once(clips, out, tmp_path / "watch.html", tmp_path)
    assert watched.returncode == 2
    assert watched.stderr == (
        "Error: --report needs jinja2, matplotlib, pandas, scipy, not installed here: pip install "
        "'anomalous-sound[report]'.\n"
    )
    assert watched.stdout == ""
    assert not (tmp_path / "watch.html").exists()


@pytest.mark.slow
def test_info_says_of_which_detector_it_is_an_export(folder, out):
    of_detector = Detector.load(folder).identity
    told = command_light("info", "--detector", out).stdout
    assert f"an export of {of_detector.digest}; no PyTorch needed" in told
    identity = json.loads(command_light("info", "--detector", out, "--json").stdout)["identity"]
    assert identity["exported_from"] == of_detector.digest != identity["digest"]
    assert identity["trained_at"] == of_detector.trained_at
    assert Detector.load(out).at_rate(0.4).identity.exported_from == of_detector.digest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["score", "clips"], "needs PyTorch (safetensors is not installed: pip install "),
        (["recalibrate", "clips", "--detector", "out"], "pip install 'anomalous-sound[train]'"),
        (["export", "new", "--detector", "out"], "the detector is an export already"),
    ],
)
def test_what_the_light_installation_lacks_is_told_in_a_sentence(
    run, clips, out, arguments, message
):
    named = {"clips": clips, "out": out}
    found = command_light(*(named.get(one, one) for one in arguments), folder=run.path)
    assert found.returncode == 2
    assert message in found.stderr
    assert "Traceback" not in found.stderr


def test_kedro_says_what_to_install():
    found = run_light("import runpy; runpy.run_module('anomalous_sound', run_name='__main__')")
    assert found.returncode == 1
    assert found.stderr == (
        "Error: kedro is not installed: pip install 'anomalous-sound[train]'.\n"
    )


@pytest.mark.slow
def test_a_flipped_bit_of_a_graph_is_noticed(out, tmp_path):
    place = tmp_path / "copied"
    shutil.copytree(out, place)
    graph = place / "network_1.onnx"
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)
    with pytest.raises(InputError, match=r"network_1\.onnx is damaged"):
        Detector.load(place)
    graph.unlink()
    with pytest.raises(InputError, match=r"cannot be read.*copy it again"):
        Detector.load(place)


@pytest.mark.slow
def test_no_file_of_another_folder_is_read(out, tmp_path):
    place = tmp_path / "copied"
    shutil.copytree(out, place)
    shutil.copy(place / "network_0.onnx", tmp_path)
    settings = place / SETTINGS_FILE
    settings.write_text(settings.read_text().replace('"network_0.onnx"', '"../network_0.onnx"'))
    with pytest.raises(InputError, match="damaged"):
        Detector.load(place)


@pytest.mark.slow
def test_an_export_is_saved_and_loaded_without_a_change(out, tmp_path):
    exported = Detector.load(out)
    exported.save(tmp_path / "again")
    assert Detector.load(tmp_path / "again").identity == exported.identity


@pytest.mark.slow
def test_what_would_judge_otherwise_is_not_written(folder, tmp_path, monkeypatch):
    detector = Detector.load(folder)
    silent = export(detector)

    def of_other_networks(_):
        louder = {name: 2 * weights for name, weights in detector.networks.weights.items()}
        other = replace(detector, networks=replace(detector.networks, weights=louder))
        graphs = export(other).networks.graphs
        networks = type(silent.networks)(graphs, detector.description, windows_alone=True)
        return detector.with_networks(networks, silent.inference)

    monkeypatch.setattr("anomalous_sound.command.exporting.export", of_other_networks)
    with pytest.raises(InputError, match="does not judge as the detector does: a synthetic clip"):
        write_export(detector, tmp_path / "out", None)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_gate_looks_at_scores_decisions_and_rejections(folder, clips):
    detector = Detector.load(folder)
    path = min(clips.glob("test/normal_id_00_*.wav"))
    verdict = detector.judge_file(path, machine_id="00")
    spread = np.std(detector.calibration.scores)
    size = max(abs(verdict.score), spread)
    inside = replace(verdict, score=verdict.score + 0.9 * TOLERANCE * size)
    assert compare(detector, [(verdict, inside)]).largest == pytest.approx(0.9 * TOLERANCE)
    outside = replace(verdict, score=verdict.score + 1.1 * TOLERANCE * size)
    with pytest.raises(InputError, match=f"{path.name} has the score"):
        compare(detector, [(verdict, outside)])
    elsewhere = detector.inference.model_copy(update={"precision": "bf16-mixed"})
    with pytest.raises(InputError, match=r"Train with inference\.precision=32-true"):
        compare(replace(detector, inference=elsewhere), [(verdict, outside)])
    turned = replace(inside, decision="anomalous")
    with pytest.raises(InputError, match="the score lies on the threshold"):
        compare(detector, [(verdict, turned)])
    with pytest.raises(InputError, match="only one of detector and export can judge it"):
        compare(detector, [(verdict, Rejection(path, "it is too short"))])


@pytest.mark.slow
@pytest.mark.recordings
@pytest.mark.parametrize("method", trained_methods())
def test_all_agree_on_real_recordings(project, recordings, tmp_path, method):
    clips, out = recordings / "slider", tmp_path / "out"
    made = [f"{method}.detector"]
    project.run(method, to_outputs=made, audio_dir=str(clips), profile="standard")
    write_export(Detector.load(project.data(f"06_models/slider/{method}/detector")), out, None)
    check_that_all_agree(project, method, clips, out, tmp_path / "elsewhere")
