"""Settings of published archives and of their download."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from anomalous_sound.configuration.base import PositiveInt, Settings
from anomalous_sound.errors import InputError

Name = Annotated[str, Field(pattern=r"^[^/\\:.][^/\\:]*$")]
Md5 = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class DownloadSettings(Settings):
    """How archives are downloaded."""

    retries: Annotated[int, Field(ge=0)] = Field(
        description="attempts after the first; those that receive something do not count"
    )
    backoff_s: Seconds = Field(description="pause before the first retry; it doubles each time")
    max_backoff_s: Seconds = Field(description="longest pause, unless the server asks for more")
    timeout_s: Annotated[Seconds, Field(gt=0)] = Field(
        description="silence after which a connection is given up"
    )
    chunk_bytes: PositiveInt = Field(description="bytes read and written at once")
    unpacked_ratio: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        description="unpacked bytes per archive byte; the disk must have room for them"
    )
    keep_archives: bool = Field(description="whether a download is kept once it is unpacked")


class ArchiveFile(Settings):
    """One archive."""

    name: Name
    md5: Md5 | None = Field(description="of its contents; null: the record tells it")
    bytes: PositiveInt | None = Field(description="its size; null: not known")


class Part(Settings):
    """One record of a data set."""

    record: Annotated[str, Field(pattern=r"^https?://")] | None = Field(
        description="where sizes and checksums are asked for; null: the table states them"
    )
    url: Annotated[str, Field(pattern=r"^https?://.*\{name\}")] = Field(
        description="of its files; {name} stands for the name of the file"
    )
    licence: str
    citation: str
    files: Annotated[dict[Name, ArchiveFile], Field(min_length=1)]

    @model_validator(mode="after")
    def _every_checksum_is_known(self) -> Self:
        unknown = [file.name for file in self.files.values() if file.md5 is None]
        if unknown and self.record is None:
            raise ValueError(f"{unknown[0]} has no md5, and there is no record to ask for it")
        return self


class PublishedArchives(Settings):
    """The archives of a data set by part and machine type, and how they are downloaded."""

    archives: dict[Name, Part]
    download: DownloadSettings

    @classmethod
    def read(cls, archives: Mapping[str, Any], download: Mapping[str, Any]) -> PublishedArchives:
        """Check the configuration.

        Raises:
            InputError: values are missing, unknown or not accepted; the message names them all.
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

    def machine_types(self, parts: list[str]) -> list[str]:
        """Return the machine types that each of these parts has.

        Raises:
            InputError: the data set has no such part.
        """
        for name in parts:
            if name in self.archives:  # one that it has, for the other message
                self.choose(next(iter(self.archives[name].files)), [name])
            else:
                self.choose(None, [name])
        first, *others = (self.archives[name].files for name in parts)
        return [name for name in first if all(name in files for files in others)]

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
