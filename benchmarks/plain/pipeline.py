"""The whole job on a folder in the DCASE layout: python -m benchmarks.plain.pipeline IN OUT."""

import argparse
import json
import random
from pathlib import Path

import matplotlib
import numpy as np
import torch
from sklearn.metrics import classification_report, roc_auc_score, roc_curve

from benchmarks.plain.features import log_mel, scaled
from benchmarks.plain.scoring import score_clip
from benchmarks.plain.training import BATCH_SIZES, MODELS, train

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def main(audio_dir: Path, out: Path, *, model_name: str, epochs: int) -> None:
    torch.manual_seed(1)
    random.seed(1)
    train_files = sorted((audio_dir / "train").glob("*.wav"))
    test_files = sorted((audio_dir / "test").glob("*.wav"))
    random.shuffle(train_files)
    held_out = max(2, len(train_files) // 5)

    features = {path: scaled(log_mel(path)) for path in train_files + test_files}
    validation = [features[path] for path in train_files[:held_out]]
    training = [features[path] for path in train_files[held_out:]]

    model = MODELS[model_name]()
    history = train(model, training, validation, batch_size=BATCH_SIZES[model_name], epochs=epochs)

    validation_scores = np.array([score_clip(model, clip) for clip in validation])
    scores = np.array([score_clip(model, features[path]) for path in test_files])
    anomalous = np.array([path.name.startswith("anomaly") for path in test_files])

    fpr, tpr, thresholds = roc_curve(anomalous, scores)
    auc = roc_auc_score(anomalous, scores)
    chosen = {
        "validation mean": validation_scores.mean(),
        "validation mean + 2 std": validation_scores.mean() + 2 * validation_scores.std(),
        "nearest to (0, 1)": thresholds[np.argmin(np.hypot(fpr, 1 - tpr))],
    }
    out.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), out / "model.pt")
    reports = {
        name: classification_report(
            anomalous, scores > threshold, output_dict=True, zero_division=0
        )
        | {"threshold": float(threshold)}
        for name, threshold in chosen.items()
    }
    metrics = {"auc": auc, "validation_loss": history, "thresholds": reports}
    (out / "metrics.json").write_text(json.dumps(metrics, indent=2))
    figure, axes = plt.subplots()
    axes.plot(fpr, tpr, label=f"AUC {auc:.3f}")
    axes.plot([0, 1], [0, 1], "--", color="grey")
    axes.set(xlabel="false-positive rate", ylabel="true-positive rate")
    axes.legend()
    figure.savefig(out / "roc.png", dpi=130)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("audio_dir", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", choices=MODELS, default="lstm")
    parser.add_argument("--epochs", type=int, default=10)
    arguments = parser.parse_args()
    main(arguments.audio_dir, arguments.out, model_name=arguments.model, epochs=arguments.epochs)
