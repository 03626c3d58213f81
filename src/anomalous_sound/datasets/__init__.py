"""Catalog dataset types of this project: where files, formats and paths live."""

from anomalous_sound.datasets.audio_folder import AudioFolderDataset
from anomalous_sound.datasets.band_errors import BandErrorsDataset
from anomalous_sound.datasets.checkpoint import CheckpointDataset
from anomalous_sound.datasets.detector import DetectorDataset
from anomalous_sound.datasets.earlier_table import EarlierTableDataset
from anomalous_sound.datasets.figure import FigureDataset
from anomalous_sound.datasets.frames import FramesDataset
from anomalous_sound.datasets.json_object import JSONObjectDataset
from anomalous_sound.datasets.network import NetworkDataset
from anomalous_sound.datasets.origin import OriginDataset
from anomalous_sound.datasets.published_audio import PublishedAudioDataset
from anomalous_sound.datasets.results import ResultsDataset
from anomalous_sound.datasets.simulated_audio import SimulatedAudioDataset
from anomalous_sound.datasets.tracked_metrics import MlflowMetricsDataset
from anomalous_sound.datasets.whole_files import (
    CSVDataset,
    FolderDataset,
    JSONDataset,
    ParquetDataset,
    SubmissionDataset,
    TextDataset,
)

__all__ = [
    "AudioFolderDataset",
    "BandErrorsDataset",
    "CSVDataset",
    "CheckpointDataset",
    "DetectorDataset",
    "EarlierTableDataset",
    "FigureDataset",
    "FolderDataset",
    "FramesDataset",
    "JSONDataset",
    "JSONObjectDataset",
    "MlflowMetricsDataset",
    "NetworkDataset",
    "OriginDataset",
    "ParquetDataset",
    "PublishedAudioDataset",
    "ResultsDataset",
    "SimulatedAudioDataset",
    "SubmissionDataset",
    "TextDataset",
]
