"""Send events to a web server, each in a POST of its own."""

from __future__ import annotations

from collections.abc import Iterator

import requests
from pydantic import SecretStr
from requests.auth import AuthBase

from anomalous_sound import __version__
from anomalous_sound.delivery.address import Address
from anomalous_sound.delivery.courier import NotDeliveredError, RefusedError

_TIMEOUT_S = 10.0
# what it says of the event itself; all else may be different at the next try
_REFUSED = {400, 413, 415, 422}


class Webhook:
    """A web server that gets events; see the page on use for its contract.

    What it answers is not read, beyond status and ``Retry-After``. It is never followed elsewhere.
    """

    def __init__(
        self, address: Address, token: SecretStr | None, *, timeout_s: float = _TIMEOUT_S
    ) -> None:
        """Name the server.

        Args:
            address: its URL.
            token: what it asks for, if it does (``Authorization: Bearer``).
            timeout_s: how long to wait for a connection, and for an answer, s.
        """
        self._address, self._auth, self._timeout_s = address, _Bearer(token), timeout_s

    def send(self, event_id: str, body: str) -> None:
        """Post an event; see :class:`.courier.Receiver`."""
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"anomalous-sound/{__version__}",
            "Idempotency-Key": event_id,
        }
        try:
            with requests.post(
                self._address.url,
                data=body.encode(),
                headers=headers,
                auth=self._auth,
                timeout=self._timeout_s,
                allow_redirects=False,
                stream=True,  # of a body, however large, nothing is read
            ) as response:
                status, after = response.status_code, response.headers.get("Retry-After", "")
        except requests.Timeout:
            reason = f"{self._address.shown} does not answer within {self._timeout_s:g} s"
            raise NotDeliveredError(reason) from None
        except (requests.RequestException, ValueError) as error:
            # the library's message may hold the whole URL
            reason = f"{self._address.shown} cannot be reached ({_cause(error)})"
            raise NotDeliveredError(reason) from None
        if 200 <= status < 300:
            return
        answer = f"{self._address.shown} answers {status}"
        if status in _REFUSED:
            raise RefusedError(answer)
        raise NotDeliveredError(answer, float(after) if after.isdecimal() else 0.0)

    def close(self) -> None:
        """Nothing stays open."""


class _Bearer(AuthBase):
    """Sends the token, and nothing that a ``.netrc`` may hold."""

    def __init__(self, token: SecretStr | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        return request


def _cause(error: BaseException) -> str:
    """Return what went wrong below the layers of requests and urllib3, in a few words."""
    found = [one for one in _chain(error) if isinstance(one, OSError) and one.strerror]
    return str(found[-1].strerror) if found else type(error).__name__


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        inner = [getattr(seen, "reason", None), *seen.args, seen.__cause__, seen.__context__]
        seen = next((one for one in inner if isinstance(one, BaseException)), None)
