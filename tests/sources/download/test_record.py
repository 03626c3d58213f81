import hashlib
import json

import pytest
from file_server import DOWNLOAD

from anomalous_sound.errors import InputError
from anomalous_sound.sources.download.record import find_in_record
from anomalous_sound.sources.download.settings import DownloadSettings

SETTINGS = DownloadSettings(**DOWNLOAD)


def test_size_checksum_and_address_are_the_records(file_server):
    record = file_server.add_record("7", {"dev_fan.zip": b"fans", "dev_pump.zip": b"pump"})
    found = find_in_record(record, "dev_fan.zip", SETTINGS)
    assert (found.name, found.bytes) == ("dev_fan.zip", 4)
    assert found.md5 == hashlib.md5(b"fans").hexdigest()
    assert found.url.endswith("/dev_fan.zip")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"<html>maintenance</html>", "does not answer with JSON"),
        (b"{}", "does not describe its files as expected .files: Field required"),
        (
            json.dumps({"files": [{"key": "a", "size": 1, "checksum": "sha256:00"}]}).encode(),
            "does not describe its files as expected .files.0.checksum",
        ),
    ],
)
def test_a_record_that_says_something_else(file_server, answer, message):
    record = file_server.add_record("7", {"dev_fan.zip": b"fans"})
    file_server.files["7"] = answer
    with pytest.raises(InputError, match=message) as error:
        find_in_record(record, "dev_fan.zip", SETTINGS)
    assert "\n" not in str(error.value)


def test_a_file_that_the_record_does_not_have(file_server):
    record = file_server.add_record("7", {"dev_fan_r2.zip": b"fans"})
    with pytest.raises(
        InputError, match=r"has no file dev_fan.zip; it has dev_fan_r2.zip: the pub"
    ):
        find_in_record(record, "dev_fan.zip", SETTINGS)


def test_a_record_that_cannot_be_read(file_server):
    record = file_server.add_record("7", {})
    with pytest.raises(InputError, match="answers 404 Not Found; try again later"):
        find_in_record(record.replace("/7", "/8"), "dev_fan.zip", SETTINGS)
    file_server.plan = [503, 503]
    with pytest.raises(InputError, match="has no file"):  # the third answer is the record
        find_in_record(record, "dev_fan.zip", SETTINGS)
    file_server.stop()
    with pytest.raises(InputError, match="cannot be read .*try again later"):
        find_in_record(record, "dev_fan.zip", SETTINGS)
