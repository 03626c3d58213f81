"""Events reach a real broker, in order, though it goes away; others see when the watch does."""

import shutil
import signal
import socket
import subprocess
import sys
import threading

import pytest
from mosquitto import MOSQUITTO, SBIN, Mosquitto
from pydantic import SecretStr

from anomalous_sound.delivery.address import broker_address
from anomalous_sound.delivery.broker import Broker
from anomalous_sound.delivery.courier import Courier, NotDeliveredError, Retry
from anomalous_sound.delivery.event import new_event, to_line
from anomalous_sound.delivery.queue import EventQueue
from anomalous_sound.errors import InputError

pytest.importorskip("paho.mqtt.client", reason="anomalous-sound[mqtt] is not installed")
real = pytest.mark.skipif(MOSQUITTO is None, reason="no mosquitto is installed")
SECRET = "s3cret"


@pytest.fixture
def mosquitto(tmp_path):
    made = []

    def make(*settings):
        made.append(Mosquitto(tmp_path, *settings))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def broker(port, *credentials, scheme="mqtt", **options):
    address = broker_address(f"{scheme}://localhost:{port}/press/3", "--mqtt")
    user, password = credentials or (None, None)
    return Broker(address, user, password and SecretStr(password), **options)


@real
def test_events_and_status_arrive(mosquitto):
    server = mosquitto()
    server.listen()
    to = broker(server.port)
    to.send("a", '{"id": "a"}')
    to.send("b", '{"id": "b"}')
    to.close()
    assert [server.next() for _ in range(4)] == [
        ("press/3/status", "online", 1),
        ("press/3", '{"id": "a"}', 1),
        ("press/3", '{"id": "b"}', 1),
        ("press/3/status", "offline", 1),
    ]
    # whoever comes later finds the status, and no old event
    server.received.queue.clear()
    server.listen()
    assert server.next()[:2] == ("press/3/status", "offline")
    assert server.received.empty()


@real
def test_nothing_is_lost_while_the_broker_is_away(mosquitto, tmp_path):
    server = mosquitto()
    back = server.listen()
    told = []
    courier = Courier(
        "mqtt",
        EventQueue(tmp_path / "mqtt.db", limit_bytes=10**6),
        broker(server.port, timeout_s=5.0),
        lambda *what: told.append(what),
        Retry(first_s=0.05, longest_s=0.1),
    )
    sent = [new_event("sensor", {"number": number}) for number in range(6)]
    found = []

    def events():
        while len(found) < len(sent):
            topic, payload, _ = server.next()
            if topic == "press/3" and payload not in found:
                found.append(payload)
            yield

    for event in sent[:3]:
        courier.put(event)
    following = events()
    while len(found) < 3:
        next(following)
    server.kill()
    back.clear()
    for event in sent[3:5]:
        courier.put(event)
    server.start()
    assert back.wait(60)
    courier.put(sent[5])
    for _ in following:
        pass
    courier.close(60)
    assert found == [to_line(event) for event in sent]


@real
def test_others_see_that_the_process_was_killed(mosquitto):
    server = mosquitto()
    server.listen()
    program = f"""
import time
from anomalous_sound.delivery.address import broker_address
from anomalous_sound.delivery.broker import Broker
address = broker_address("mqtt://localhost:{server.port}/press/3", "")
Broker(address, None, None).send("a", "event")
time.sleep(600)
"""
    running = subprocess.Popen([sys.executable, "-c", program])
    assert [server.next()[1] for _ in range(2)] == ["online", "event"]
    running.send_signal(signal.SIGKILL)
    assert server.next()[:2] == ("press/3/status", "offline")
    running.wait()


@real
def test_who_may_not_enter_is_told_and_no_password(mosquitto, tmp_path):
    passwords = tmp_path / "passwords"
    passwords.write_text(f"watch:{SECRET}\n")
    hasher = shutil.which("mosquitto_passwd", path=SBIN)
    if hasher is None:
        pytest.skip("no mosquitto_passwd is installed")
    passwords.chmod(0o600)
    subprocess.run([hasher, "-U", str(passwords)], check=True, capture_output=True)
    server = mosquitto("allow_anonymous false", f"password_file {passwords}")
    server.listen(user=("watch", SECRET))
    for credentials in ((), ("watch", "wr0ng"), ("nobody", SECRET)):
        with pytest.raises(NotDeliveredError, match="does not let it in: Not authorized") as raised:
            broker(server.port, *credentials).send("a", "a")
        assert "wr0ng" not in str(raised.value) and SECRET not in str(raised.value)
    to = broker(server.port, "watch", SECRET)
    to.send("a", "a")
    to.close()
    assert [server.next()[1] for _ in range(3)] == ["online", "a", "offline"]


@real
def test_it_is_encrypted_and_the_broker_is_the_right_one(mosquitto, tmp_path, monkeypatch):
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl is installed")
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )
    cert = tmp_path / "cert.pem"
    server = mosquitto(
        "allow_anonymous true", f"certfile {cert}", f"keyfile {tmp_path / 'key.pem'}"
    )
    with pytest.raises(NotDeliveredError, match="cannot be reached"):  # nobody vouches for it
        broker(server.port, scheme="mqtts").send("a", "a")
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    server.listen(ca=cert)
    to = broker(server.port, scheme="mqtts")
    to.send("a", "a")
    to.close()
    assert [server.next()[1] for _ in range(3)] == ["online", "a", "offline"]


def test_a_broker_that_is_not_there():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    to = broker(port)
    with pytest.raises(NotDeliveredError, match=f"mqtt://localhost:{port} cannot be reached"):
        to.send("a", "a")
    to.close()


def test_what_is_not_confirmed_is_not_delivered():
    """A broker that lets in, and then says no more."""
    server = socket.create_server(("127.0.0.1", 0))

    def answer():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            connection.recv(4096)
            connection.sendall(bytes([0x20, 2, 0, 0]))  # CONNACK: accepted
            kept.append(connection)

    kept = []
    threading.Thread(target=answer, daemon=True).start()
    to = broker(server.getsockname()[1], timeout_s=0.3)
    for _ in range(2):
        with pytest.raises(NotDeliveredError, match="does not confirm within 0.3 s"):
            to.send("a", "a")
    assert len(kept) == 2  # it begins anew, so that nothing old is sent out of order
    to.close()
    server.close()


def test_the_library_may_be_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(InputError, match=r"pip install 'anomalous-sound\[mqtt\]'"):
        broker(1883)
