"""Addresses and secrets are checked before anything is sent, and never shown."""

import pytest

from anomalous_sound.delivery.address import broker_address, secret, web_address
from anomalous_sound.errors import InputError


def test_a_web_address():
    address = web_address("https://alarms.example/hook/s3cret?key=s3cret", "--webhook")
    assert (address.host, address.port, address.is_encrypted) == ("alarms.example", 443, True)
    assert address.shown == "https://alarms.example:443"
    assert "s3cret" not in repr(address)


def test_a_broker_and_a_topic():
    address = broker_address("mqtt://broker/hall-3/press%203", "--mqtt")
    assert (address.host, address.port, address.path) == ("broker", 1883, "hall-3/press 3")
    assert broker_address("mqtts://broker:1/a", "--mqtt").is_encrypted
    assert broker_address("mqtts://broker/a", "--mqtt").port == 8883


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://host/a", "file:///etc/passwd", "host:8080/a", "http://", "https:///a", ""),
        *("http://[::1/a", "http://host:99999/", "http://host/a b", "http://host/a\nb"),
        *("http://host/a#b", "javascript:alert(1)", "mqtt://host/a"),
    ],
)
def test_what_is_no_web_address(url):
    with pytest.raises(InputError, match="--webhook"):
        web_address(url, "--webhook")


@pytest.mark.parametrize("url", ["mqtt://host", "mqtt://host/", "mqtt://host/+/a", "http://host/a"])
def test_what_is_no_topic(url):
    with pytest.raises(InputError, match="--mqtt"):
        broker_address(url, "--mqtt")


@pytest.mark.parametrize("read", [web_address, broker_address])
def test_a_password_on_the_command_line_is_refused_and_not_repeated(read):
    scheme = "http" if read is web_address else "mqtt"
    for url in (f"{scheme}://user:s3cret@host/a", f"{scheme}://s3cret@host/a"):
        with pytest.raises(InputError, match="a user name or a password") as raised:
            read(url, "--webhook")
        assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "is_so"),
    [
        *(("http://hall-3/", True), ("https://hall-3/", False), ("http://127.0.0.1:1/", False)),
        *(("http://localhost/", False), ("http://[::1]/", False), ("http://127.0.0.1.evil/", True)),
    ],
)
def test_where_a_secret_could_be_overheard(url, is_so):
    assert web_address(url, "--webhook").is_overheard is is_so


def test_a_secret_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("TOKEN", raising=False)
    assert secret("TOKEN", None, "--token-file") is None
    monkeypatch.setenv("TOKEN", "s3cret")
    found = secret("TOKEN", None, "--token-file")
    assert found.get_secret_value() == "s3cret"
    assert "s3cret" not in f"{found} {found!r}"
    (tmp_path / "token").write_text("0ther\n")
    assert secret("TOKEN", tmp_path / "token", "--token-file").get_secret_value() == "0ther"


@pytest.mark.parametrize(
    "content", [b"", b"s3cret\nHeader: 1", b"s3 cret", b"s3cret\xff", b"s" * 5000]
)
def test_what_is_no_secret(content, tmp_path):
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(InputError, match="holds no secret that can be used") as raised:
        secret("TOKEN", tmp_path / "token", "--token-file")
    assert "s3" not in str(raised.value).replace(str(tmp_path), "")
    with pytest.raises(InputError, match="cannot be read: No such file"):
        secret("TOKEN", tmp_path / "none", "--token-file")
