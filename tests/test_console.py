"""Lines of the log stand above progress bars."""

import io
import logging

from tqdm import tqdm

from anomalous_sound.console import ConsoleHandler, keep_progress_bars_whole


def test_a_line_of_the_log_is_not_written_into_a_bar():
    terminal = io.StringIO()
    handler = ConsoleHandler(terminal)
    with tqdm(total=3, file=terminal, mininterval=0) as bar:
        bar.update()
        handler.emit(logging.makeLogRecord({"msg": "Network 1 of 2 is trained."}))
        bar.update()
    lines = terminal.getvalue().split("\r")
    (told,) = (line for line in lines if "Network" in line)
    assert told.startswith("Network 1 of 2 is trained.\n")


def test_handlers_of_the_console_keep_their_form(monkeypatch):
    plain = logging.StreamHandler(io.StringIO())
    plain.setFormatter(logging.Formatter("> %(message)s"))
    plain.setLevel(logging.ERROR)
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [plain])
    keep_progress_bars_whole()
    (above,) = root.handlers
    above.handle(logging.makeLogRecord({"msg": "gone", "levelno": logging.ERROR}))
    assert isinstance(above, ConsoleHandler)
    assert (above.level, above.stream.getvalue()) == (logging.ERROR, "> gone\n")
