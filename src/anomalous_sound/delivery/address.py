"""Where events are sent, and the secrets that a receiver asks for; neither is ever printed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import SecretStr

from anomalous_sound.errors import InputError

_LONGEST_SECRET = 4096  # characters
_LOOPBACK = re.compile(r"localhost|127\.\d+\.\d+\.\d+|::1")


@dataclass(frozen=True)
class Address:
    """A place in the network.

    Attributes:
        shown: what may be printed: a path can be as secret as a password.
        host: its name.
        port: its port.
        is_encrypted: whether what is sent cannot be read on the way.
        url: the whole of it.
        path: what follows the port, decoded.
    """

    shown: str
    host: str
    port: int
    is_encrypted: bool
    url: str = field(repr=False)
    path: str = field(repr=False)

    @property
    def is_overheard(self) -> bool:
        """Whether a secret that is sent there could be read on the way."""
        return not self.is_encrypted and not _LOOPBACK.fullmatch(self.host)


def web_address(url: str, option: str) -> Address:
    """Read the URL of a web server.

    Raises:
        InputError: it is no ``http`` or ``https`` URL, or holds a password.
    """
    return _address(url, option, {"http": 80, "https": 443}, encrypted="https")


def broker_address(url: str, option: str) -> Address:
    """Read the URL of an MQTT broker and a topic: ``mqtt://host:port/topic``.

    Raises:
        InputError: it is no ``mqtt`` or ``mqtts`` URL, holds a password, or no usable topic.
    """
    address = _address(url, option, {"mqtt": 1883, "mqtts": 8883}, encrypted="mqtts")
    if not address.path or re.search(r"[+#\x00]", address.path) or "?" in address.url:
        raise InputError(
            f"{option} {address.shown} names no topic that can be written to; give one without "
            "+, # and ?, such as mqtt://broker:1883/hall-3/press-3."
        )
    return address


def _address(url: str, option: str, ports: Mapping[str, int], *, encrypted: str) -> Address:
    schemes = " or ".join(f"{scheme}://" for scheme in ports)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InputError(f"{option} is no URL; give one that begins with {schemes}.") from None
    _check(url, parts, option, schemes, tuple(ports))
    port, host = port or ports[parts.scheme], parts.hostname or ""
    return Address(
        shown=f"{parts.scheme}://{host}:{port}",
        host=host,
        port=port,
        is_encrypted=parts.scheme == encrypted,
        url=url,
        path=unquote(parts.path).strip("/"),
    )


def _check(
    url: str, parts: SplitResult, option: str, schemes: str, accepted: tuple[str, ...]
) -> None:
    if parts.scheme not in accepted or not parts.hostname:
        raise InputError(f"{option} is no URL that can be used; it must begin with {schemes}.")
    if parts.username is not None or parts.password is not None:
        raise InputError(
            f"{option} holds a user name or a password, which others could read in the list of "
            "processes; give it in the environment or in a file, as `anomalous-sound watch --help` "
            "says."
        )
    if not url.isprintable() or " " in url or parts.fragment:
        raise InputError(
            f"{option} holds a space, a sign that cannot be printed, or a #; quote it."
        )


def secret(variable: str, file: Path | None, option: str) -> SecretStr | None:
    """Read a secret from a file, or else from a variable of the environment.

    Args:
        variable: the variable's name.
        file: the file, if one is named.
        option: that names the file.

    Returns:
        The secret, which is not shown when printed; None if there is none.

    Raises:
        InputError: the file cannot be read, or it is no secret on one line.
    """
    if file is None:
        text, source = os.environ.get(variable), variable
    else:
        source = f"{option} {file}"
        try:
            with file.open(encoding="ascii") as opened:
                text = opened.read(_LONGEST_SECRET + 2)
        except OSError as error:
            raise InputError(f"{source} cannot be read: {error.strerror}.") from None
        except UnicodeError:
            raise _unusable(source) from None
    if text is None:
        return None
    text = text.strip()
    # what cannot be in a header would be in the message that says so
    if not re.fullmatch(r"[\x21-\x7e]+", text) or len(text) > _LONGEST_SECRET:
        raise _unusable(source)
    return SecretStr(text)


def _unusable(source: str) -> InputError:
    return InputError(
        f"{source} holds no secret that can be used; it must be one line of at most "
        f"{_LONGEST_SECRET} ASCII letters, digits and signs, without spaces."
    )
