"""raw_audio, clips → levels, spectra → table, figures, report."""

from kedro.pipeline import Pipeline, node

from anomalous_sound.pipelines.explore import nodes
from anomalous_sound.reporting.exploration import tabulate_clips
from anomalous_sound.reporting.exploration_figures import average_spectrum_figure


def create_pipeline() -> Pipeline:
    """Create the pipeline that looks at a corpus; it follows on the preparation of the corpus."""
    return Pipeline(
        _measurements() + _figures() + _report(),
        namespace="explore",
        inputs={"raw_audio", "clips", "corpus_summary", "log_mel", "rejected_clips"},
        parameters={"params:audio", "params:log_mel"},
    )


def _measurements() -> list:
    return [
        node(
            nodes.measure_clips,
            inputs=[
                "raw_audio",
                "clips",
                "params:audio",
                "params:welch_segment",
                "params:bands_per_octave",
            ],
            outputs=["clip_levels", "average_spectra"],
            name="measure_clips",
        ),
        node(
            tabulate_clips,
            inputs=["clips", "clip_levels"],
            outputs="clip_table",
            name="tabulate_clips",
        ),
    ]


def _figures() -> list:
    return [
        node(
            nodes.plot_waveforms,
            inputs=[
                "raw_audio",
                "clips",
                "corpus_summary",
                "params:audio",
                "params:machine_ids_shown",
            ],
            outputs="waveform_figure",
            name="plot_waveforms",
        ),
        node(
            nodes.plot_spectra,
            inputs=[
                "raw_audio",
                "clips",
                "corpus_summary",
                "params:audio",
                "params:welch_segment",
                "params:machine_ids_shown",
            ],
            outputs="spectrum_figure",
            name="plot_spectra",
        ),
        node(
            nodes.plot_spectrograms,
            inputs=[
                "log_mel",
                "clips",
                "corpus_summary",
                "params:audio",
                "params:log_mel",
                "params:machine_ids_shown",
            ],
            outputs="spectrogram_figure",
            name="plot_spectrograms",
        ),
        node(
            average_spectrum_figure,
            inputs=[
                "average_spectra",
                "corpus_summary",
                "params:bands_per_octave",
                "params:machine_ids_shown",
            ],
            outputs="average_spectrum_figure",
            name="plot_average_spectra",
        ),
    ]


def _report() -> list:
    return [
        node(
            nodes.write_report,
            inputs=["corpus_summary", "clip_table", "rejected_clips", "params:audio"],
            outputs="report",
            name="write_report",
        ),
    ]
