"""Tables of texts are read as pandas reads them, and never guessed at."""

import pandas as pd
import pytest

from anomalous_sound.errors import InputError
from anomalous_sound.sources.tables import read_table


@pytest.mark.parametrize(
    "text",
    [
        "file,label\na.wav,normal\nb.wav,anomaly\n",
        "file,label\r\na.wav,  normal\r\n\r\nb.wav,anomaly",
        'file,label\n"a, b.wav","two ""words"""\n',
        '\ufefffile,label,split\nstraße.wav,normal\n"two\nlines.wav",,test\n',
        "file,label\n",
    ],
)
def test_tables_are_read_as_pandas_reads_them(tmp_path, text):
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8", newline="")
    expected = pd.read_csv(path, dtype=str, skipinitialspace=True).fillna("")
    found = read_table(path)
    assert list(found.columns) == expected.columns.tolist()
    assert list(found.rows) == expected.to_dict("records")


def test_a_word_that_pandas_takes_for_nothing_stays(tmp_path):
    (tmp_path / "labels.csv").write_text("file,machine_id\na.wav,NA\n")
    assert read_table(tmp_path / "labels.csv").rows == ({"file": "a.wav", "machine_id": "NA"},)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it has no columns"),
        (b"file,label\na.wav,normal,train\n", "line 2 has 3 values for 2 columns"),
        (b"file,label\n\xff.wav,normal\n", "can't decode byte"),
        (b'file,label\n"a.wav,normal\n', "unexpected end of data"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, content, why):
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"labels\.csv cannot be read as a table: .*{why}"):
        read_table(path)
