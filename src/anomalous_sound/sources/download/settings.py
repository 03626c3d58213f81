"""What the configuration says of published archives, and how they are to be downloaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from anomalous_sound.errors import InputError

Name = Annotated[str, Field(pattern=r"^[^/\\:.][^/\\:]*$")]
Md5 = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class DownloadSettings(_Settings):
    """How archives are downloaded.

    Attributes:
        retries: attempts after the first; those that brought something are not counted.
        backoff_s: pause before the first retry; it doubles with each.
        max_backoff_s: the longest pause, unless the server asks for more.
        timeout_s: silence after which a connection is given up.
        chunk_bytes: read and written at once.
        unpacked_ratio: unpacked bytes by archive bytes, of which room is made sure of beforehand.
        keep_archives: whether an archive stays after it was unpacked.
    """

    retries: Annotated[int, Field(ge=0)]
    backoff_s: Seconds
    max_backoff_s: Seconds
    timeout_s: Annotated[Seconds, Field(gt=0)]
    chunk_bytes: Annotated[int, Field(gt=0)]
    unpacked_ratio: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    keep_archives: bool


class ArchiveFile(_Settings):
    """One archive as the configuration lists it; ``bytes`` is None where it is not known."""

    name: Name
    md5: Md5
    bytes: Annotated[int, Field(gt=0)] | None


class Part(_Settings):
    """One record of a data set; its ``url`` has ``{name}`` where the name of a file goes."""

    url: Annotated[str, Field(pattern=r"^https?://.*\{name\}")]
    licence: str
    citation: str
    files: Annotated[dict[Name, ArchiveFile], Field(min_length=1)]


class PublishedArchives(_Settings):
    """The archives of a data set by part and machine type, and how they are downloaded."""

    archives: dict[Name, Part]
    download: DownloadSettings

    @classmethod
    def read(cls, archives: Mapping[str, Any], download: Mapping[str, Any]) -> PublishedArchives:
        """Check the configuration.

        Raises:
            InputError: something is missing, unknown or not accepted; all of it is named.
        """
        try:
            return cls.model_validate({"archives": dict(archives), "download": dict(download)})
        except ValidationError as error:
            problems = [
                f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
                for problem in error.errors()
            ]
            raise InputError(
                f"the archives or download settings in globals.yml: {'; '.join(problems)}."
            ) from None

    def choose(
        self, machine_type: str | None, parts: list[str] | None
    ) -> dict[str, tuple[Part, ArchiveFile]]:
        """Return the archives of a machine type by part.

        Raises:
            InputError: the data set has no such machine type or part.
        """
        if not isinstance(parts, list) or not parts:
            raise InputError(
                f"corpus.parts is {parts!r}; give a list of one or more of "
                f"{', '.join(self.archives)}."
            )
        chosen = {}
        for name in parts:
            part = self.archives.get(name)
            if part is None:
                raise InputError(
                    f"corpus.parts names '{name}', which the data set does not have; it has "
                    f"{', '.join(self.archives)}."
                )
            if machine_type not in part.files:
                raise InputError(
                    f"corpus.machine_type '{machine_type}' is not in the data set's part {name}; "
                    f"it has {', '.join(part.files)}."
                )
            chosen[name] = (part, part.files[machine_type])
        return chosen
