"""What a web server gets, and what its answers mean."""

import socket
import threading

import pytest
from event_receiver import EventReceiver
from pydantic import SecretStr

from anomalous_sound.delivery.address import web_address
from anomalous_sound.delivery.courier import NotDeliveredError, RefusedError
from anomalous_sound.delivery.webhook import Webhook


@pytest.fixture
def receiver(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = EventReceiver()
    yield server
    server.stop()


def webhook(url, token=None, **options):
    return Webhook(web_address(url, "--webhook"), token and SecretStr(token), **options)


def test_an_event_is_posted_as_it_is(receiver):
    webhook(receiver.url, "s3cret").send("id-1", '{"id": "id-1"}')
    ((headers, path, body),) = receiver.requests
    assert (path, body) == ("/events", '{"id": "id-1"}')
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"] == "id-1"
    assert headers["Authorization"] == "Bearer s3cret"
    assert headers["User-Agent"].startswith("anomalous-sound/")


def test_no_password_of_another_program_is_sent(receiver, tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login user password s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    webhook(receiver.url).send("a", "{}")
    webhook(receiver.url, "own").send("a", "{}")
    assert [one.get("Authorization") for one, _, _ in receiver.requests] == [None, "Bearer own"]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_it_is_not_sent_elsewhere(receiver, status):
    elsewhere = EventReceiver()
    receiver.always = (status, {"Location": elsewhere.url})
    with pytest.raises(NotDeliveredError, match=f"answers {status}"):
        webhook(receiver.url, "s3cret").send("a", "{}")
    assert elsewhere.requests == []
    elsewhere.stop()


@pytest.mark.parametrize("status", [401, 403, 404, 408, 409, 429, 500, 502, 503])
def test_what_may_be_different_at_the_next_try(receiver, status):
    receiver.always = (status, {"Retry-After": "7"})
    with pytest.raises(
        NotDeliveredError, match=f"127.0.0.1:{receiver.port} answers {status}$"
    ) as e:
        webhook(receiver.url).send("a", "{}")
    assert e.value.retry_after_s == 7.0
    receiver.always = (status, {"Retry-After": "Fri, 31 Dec 2027 23:59:59 GMT"})
    with pytest.raises(NotDeliveredError) as e:
        webhook(receiver.url).send("a", "{}")
    assert e.value.retry_after_s == 0.0


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_what_will_never_be_taken(receiver, status):
    receiver.always = status
    with pytest.raises(RefusedError, match=f"answers {status}"):
        webhook(receiver.url).send("a", "{}")


def test_who_does_not_answer(receiver):
    secret_url = receiver.url + "/s3cret?key=s3cret"
    for how, message in [
        ("hang", "does not answer within 0.2 s"),
        ("drop", "cannot be reached"),
    ]:
        receiver.always = how
        with pytest.raises(NotDeliveredError, match=message) as raised:
            webhook(secret_url, "s3cret", timeout_s=0.2).send("a", "{}")
        assert "s3cret" not in str(raised.value)
        assert raised.value.__suppress_context__
    receiver.stop()
    with pytest.raises(NotDeliveredError, match=r"cannot be reached \(Connection refused\)"):
        webhook(secret_url).send("a", "{}")
    with pytest.raises(NotDeliveredError, match="cannot be reached") as raised:
        webhook("http://nowhere.invalid/s3cret").send("a", "{}")
    assert "s3cret" not in str(raised.value)


def test_an_answer_without_an_end_is_not_read():
    server = socket.create_server(("127.0.0.1", 0))
    sent = []

    def answer():
        connection, _ = server.accept()
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
        try:
            while True:
                sent.append(connection.send(b"x" * 65536))
        except OSError:
            pass

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    webhook(f"http://127.0.0.1:{server.getsockname()[1]}/").send("a", "{}")
    thread.join(60)  # it has closed the connection
    assert not thread.is_alive()
    server.close()
