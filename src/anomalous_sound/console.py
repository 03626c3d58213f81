"""Lines of the log, above progress bars and never within them."""

from __future__ import annotations

import logging

from tqdm import tqdm


class ConsoleHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """A ``StreamHandler`` that takes progress bars away while it writes, and puts them back."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        with tqdm.external_write_mode(file=self.stream):
            super().emit(record)


def keep_progress_bars_whole() -> None:
    """Let what is logged to a console stand above progress bars.

    Kedro accepts no class of a project in ``conf/logging.yml``.
    """
    root = logging.getLogger()
    for handler in [one for one in root.handlers if type(one) is logging.StreamHandler]:
        above = ConsoleHandler(handler.stream)
        above.setLevel(handler.level)
        above.setFormatter(handler.formatter)
        root.removeHandler(handler)
        root.addHandler(above)
