"""The corpus of a run as MLflow's dataset, by which runs on the same clips are found."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from anomalous_sound.corpus.summary import CorpusSummary


def log_corpus(clips: pd.DataFrame, corpus_summary: CorpusSummary, *, context: str) -> None:
    """Log the table of clips as an input of the active run.

    Its digest is the corpus' fingerprint: two runs with one digest were on the same clips. MLflow
    stores its columns and the number of its rows; no sound, and not the rows.

    Args:
        clips: a row a clip.
        corpus_summary: of the same clips.
        context: what the run does with it, in a word.
    """
    import mlflow

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whole numbers are meant
        dataset = mlflow.data.from_pandas(
            clips, name=corpus_summary.name, digest=corpus_summary.fingerprint
        )
        mlflow.log_input(dataset, context=context)
