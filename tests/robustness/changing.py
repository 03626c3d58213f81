"""Recordings that vanish, grow, shrink or are replaced at random moments of a run.

By hand: ``python tests/robustness/changing.py --moments 100``; some minutes. The tests have three.

A run whose recordings change ends in a sentence, or well: then each clip found is one that was
used or rejected, and what was computed of it is what its file gives as it was at one moment.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).parents[1]))
from robustness.kills import results
from support import RATE, Project, noise

from anomalous_sound.corpus.decode import decode_recording, to_channels
from anomalous_sound.errors import input_error_behind
from anomalous_sound.features.log_mel import log_mel_frames

KINDS = ("delete", "append", "truncate", "replace", "rewrite", "make a folder of")
_PAUSE_S = 0.01  # between the parts of a file that is being written


@dataclass
class Count:
    """What the changes have shown.

    Attributes:
        moments: at which a recording was changed, by what happened to it.
        ended: runs, by how they ended.
        checked: clips whose frames were computed again from one state of their file.
        wrong: what is not as it should be, in sentences.
    """

    moments: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    checked: int = 0
    wrong: list[str] = field(default_factory=list)


class Changer:
    """Changes recordings of a folder, and knows each state that they have had."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._random, self._folder = random.Random(seed), folder
        self.states: dict[str, bytes] = {}
        for path in folder.rglob("*.wav"):
            self._remember(path.read_bytes())

    def change(self) -> str:
        """Change one recording in one way; return which."""
        kind = self._random.choice(KINDS)
        path = self._random.choice(sorted(self._folder.rglob("*.wav")))
        if path.is_dir():
            return "none"
        content = path.read_bytes()
        if kind == "delete":
            path.unlink()
        elif kind == "make a folder of":
            path.unlink()
            path.mkdir()
        elif kind == "append":  # as a recorder does
            self._write(path, content + self._random.randbytes(2 * RATE), begin=len(content))
        elif kind == "truncate":
            content = content[: self._random.randrange(len(content))]
            self._remember(content)
            with path.open("r+b") as file:
                file.truncate(len(content))
        elif kind == "replace":  # in one step
            other = path.with_name("other.tmp")
            soundfile.write(other, noise(self._random.randrange(10**6), 2.0), RATE, format="WAV")
            self._remember(other.read_bytes())
            other.replace(path)
        else:  # as a copy does, over the same file
            self._write(path, content, begin=0)
        return kind

    def _write(self, path: Path, content: bytes, begin: int) -> None:
        with path.open("r+b", buffering=0) as file:
            file.truncate(begin)
            self._remember(content[:begin])
            for end in np.linspace(begin, len(content), 4, dtype=int)[1:]:
                file.seek(begin)
                self._remember(content[:end])
                file.write(content[begin:end])
                begin = int(end)
                time.sleep(_PAUSE_S)

    def _remember(self, content: bytes) -> None:
        self.states[hashlib.sha256(content).hexdigest()] = content


def change_recordings(
    project: Project,
    recordings: Path,
    *,
    moments: int,
    seed: int,
    say: Callable[[str], object] = print,
) -> Count:
    """Change recordings while runs read them, and look at what the runs give.

    Args:
        project: is run again and again.
        recordings: a folder; it is as before in the end.
        moments: how often a recording is changed.
        seed: of the moments, the recordings and what happens to them.
        say: is told what happens.
    """
    rng, count = np.random.default_rng(seed), Count()
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch, "whole")
        shutil.copytree(recordings, whole)
        project.run(audio_dir=str(recordings))
        expected = results(project)
        began = time.monotonic()
        project.run(audio_dir=str(recordings))  # without the imports
        lasts_s = time.monotonic() - began
        while count.moments.total() < moments:
            if rng.random() < 0.5:  # or else what is known of the others is used again
                shutil.rmtree(project.data())
            changer = Changer(recordings, int(rng.integers(2**31)))
            times = sorted(rng.uniform(0, lasts_s, min(2, moments - count.moments.total())))
            _run_once(project, recordings, changer, times, count)
            shutil.rmtree(recordings)
            shutil.copytree(whole, recordings)
            say(
                f"{count.moments.total()} moments, {dict(count.ended)}, {count.checked} clips "
                f"checked, {len(count.wrong)} wrong"
            )
        # nothing of what was found meanwhile is believed of the recordings as they are now
        project.run(audio_dir=str(recordings))
        found = results(project)
        count.wrong += [
            f"{name} is another afterwards"
            for name in sorted({*expected, *found})
            if expected.get(name) != found.get(name)
        ]
    return count


def _run_once(
    project: Project, recordings: Path, changer: Changer, times: list[float], count: Count
) -> None:
    over = threading.Event()

    def change() -> None:
        began = time.monotonic()
        for at in times:
            if over.wait(max(0.0, began + at - time.monotonic())):
                count.moments["too late"] += 1
            else:
                count.moments[changer.change()] += 1

    thread = threading.Thread(target=change)
    thread.start()
    try:
        project.run(audio_dir=str(recordings))
    except Exception as error:
        told = input_error_behind(error)
        count.ended["with a sentence" if told else "with a traceback"] += 1
        if told is None or "\n" in str(told):
            count.wrong.append(f"{error!r}")
    else:
        count.ended["well"] += 1
        count.wrong += _wrong_in_results(project, changer, count)
    finally:
        over.set()
        thread.join()


def _wrong_in_results(project: Project, changer: Changer, count: Count) -> list[str]:
    clips, rejected = project.load("clips"), project.load("rejected_clips")
    wrong = []
    summary = project.load("corpus_summary")
    if len(clips) + len(rejected) != summary.clips_found:
        wrong.append(f"{summary.clips_found} found, {len(clips)} used, {len(rejected)} rejected")
    if {*project.load("lstm.clip_scores").clip_id} != {*clips.clip_id}:
        wrong.append("other clips are scored than were used")
    frames, features = project.load("log_mel"), project.load("lstm.settings").features
    for clip_id, sha256 in zip(clips.clip_id, clips.sha256, strict=True):
        content = changer.states.get(sha256)
        if content is None:
            wrong.append(f"{clip_id} was never as it was read")
            continue
        channels = to_channels(decode_recording(content, features.audio), features.audio)
        if not np.array_equal(log_mel_frames(channels, features), frames.clip(clip_id)):
            wrong.append(f"{clip_id} has frames that are not its own")
        count.checked += 1
    return wrong


def make_recordings(folder: Path) -> Path:
    """Write a corpus: two machine IDs, for each 6 clips to train on and 3 + 3 to test with."""
    seed = 0
    for machine_id in ("00", "02"):
        parts = (("train", "normal", 6), ("test", "normal", 3), ("test", "anomaly", 3))
        for split, label, clips in parts:
            for number in range(clips):
                path = folder / split / f"{label}_id_{machine_id}_{number:08d}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, noise(seed := seed + 1, 2.0), RATE)
    return folder


def main() -> int:
    """Change recordings as often as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        recordings = make_recordings(Path(scratch, "press"))
        project = Project(Path(scratch, "project"))
        count = change_recordings(
            project,
            recordings,
            moments=given.moments,
            seed=given.seed,
            say=lambda text: print(f">> {text}", flush=True),
        )
    print(f">> {dict(count.moments)}; {dict(count.ended)}; {count.checked} clips checked")
    for problem in count.wrong:
        print(f">> WRONG: {problem}")
    return bool(count.wrong)


if __name__ == "__main__":
    sys.exit(main())
