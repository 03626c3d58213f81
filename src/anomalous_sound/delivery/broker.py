"""Send events to an MQTT broker, which hands them on to whoever has subscribed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from anomalous_sound.delivery.address import Address
from anomalous_sound.delivery.courier import NotDeliveredError
from anomalous_sound.errors import InputError

if TYPE_CHECKING:
    from paho.mqtt.client import Client

_TIMEOUT_S, _KEEP_ALIVE_S = 10.0, 60
_AT_LEAST_ONCE = 1
ONLINE, OFFLINE = "online", "offline"


class Broker:
    """An MQTT broker that gets events on a topic, at least once each.

    On the topic with ``/status`` it keeps ``online``, and ``offline`` after the end, or when
    nothing is heard of this process any more.
    """

    def __init__(
        self,
        address: Address,
        user: str | None,
        password: SecretStr | None,
        *,
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        """Name the broker.

        Args:
            address: its URL; the path is the topic.
            user: as whom to connect, if it asks.
            password: what it asks for.
            timeout_s: how long to wait for a connection, and for an answer, s.

        Raises:
            InputError: the library is not installed.
        """
        try:
            import paho.mqtt.client
        except ImportError:
            raise InputError(
                "--mqtt needs a library that is not installed: pip install 'anomalous-sound[mqtt]'."
            ) from None
        self._library: Any = paho.mqtt.client
        self._address, self._user, self._password = address, user, password
        self._timeout_s = timeout_s
        self._client: Client | None = None

    def send(self, event_id: str, body: str) -> None:
        """Publish an event, and wait until the broker has it; see :class:`.courier.Receiver`."""
        client = self._client or self._connected()
        if not client.is_connected():  # the library connects again by itself
            raise NotDeliveredError(f"{self._address.shown} is not connected")
        try:
            told = client.publish(self._address.path, body, qos=_AT_LEAST_ONCE)
            told.wait_for_publish(self._timeout_s)
            arrived = told.is_published()
        except (ValueError, RuntimeError):
            arrived = False
        if not arrived:
            # the library would send it later, out of order, while the queue does too
            self._leave(client)
            raise NotDeliveredError(
                f"{self._address.shown} does not confirm within {self._timeout_s:g} s"
            )

    def close(self) -> None:
        """Say that there will be no more, and disconnect."""
        if self._client is not None and self._client.is_connected():
            self._say(self._client, OFFLINE).wait_for_publish(self._timeout_s)
        if self._client is not None:
            self._leave(self._client)

    def _connected(self) -> Client:
        library = self._library
        client: Client = library.Client(library.CallbackAPIVersion.VERSION2)
        client.connect_timeout = self._timeout_s
        if self._user is not None:
            password = None if self._password is None else self._password.get_secret_value()
            client.username_pw_set(self._user, password)
        if self._address.is_encrypted:
            client.tls_set()
        client.will_set(self._status, OFFLINE, qos=_AT_LEAST_ONCE, retain=True)
        answered, answers = threading.Event(), list[Any]()

        def on_connect(client: Client, _: object, __: object, code: Any, *___: object) -> None:
            answers.append(code)
            if not code.is_failure:
                self._say(client, ONLINE)
            answered.set()

        client.on_connect = on_connect
        try:
            client.connect(self._address.host, self._address.port, _KEEP_ALIVE_S)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise NotDeliveredError(f"{self._address.shown} cannot be reached ({reason})") from None
        client.loop_start()
        answered.wait(self._timeout_s)
        if not answers or answers[0].is_failure:
            self._leave(client)
            says = answers[0] if answers else "nothing"
            raise NotDeliveredError(f"{self._address.shown} does not let it in: {says}")
        self._client = client
        return client

    @property
    def _status(self) -> str:
        return f"{self._address.path}/status"

    def _say(self, client: Client, status: str) -> Any:
        return client.publish(self._status, status, qos=_AT_LEAST_ONCE, retain=True)

    def _leave(self, client: Client) -> None:
        self._client = None
        client.disconnect()
        client.loop_stop()
