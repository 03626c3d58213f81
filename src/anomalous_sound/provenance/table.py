"""What a table of results was made of: enough to make it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError

from anomalous_sound.configuration.base import Seed, Settings
from anomalous_sound.errors import InputError
from anomalous_sound.provenance.origin import Origin

TABLE, FILE = "results.csv", "provenance.json"


class CorpusMark(Settings):
    """By what a corpus is known again."""

    name: str
    simulated: bool
    fingerprint: str
    clips: int = Field(description="used, of all splits")


class TableRun(Settings):
    """One of the runs that a table joins.

    ``made`` is its description, see :func:`anomalous_sound.evaluation.run_result.describe`:
    ``method, seed, settings, code``. The settings are all that scores depend on and not only those
    that differ from the defaults, which may be others in another version.
    """

    name: str = Field(description="of its detector, and of its folders")
    machine_type: str
    corpus: CorpusMark
    made: dict[str, Any]
    trained_on: dict[str, str] = Field(description="device and precision")
    scores: str = Field(description="digest of the scores of the labelled test clips")
    origin: Origin

    @property
    def method(self) -> str:
        """The method's name."""
        return str(self.made["method"])

    @property
    def seed(self) -> int:
        """Of all that is drawn."""
        return int(self.made["seed"])

    def called(self) -> str:
        """Name it in a sentence."""
        return f"{self.method}, {self.machine_type}, seed {self.seed}"


class TableProvenance(Settings):
    """What stands beside a table of results, as ``provenance.json``."""

    format: Literal[1]
    name: str = Field(description="of the folders of the table")
    title: str
    evaluation: dict[str, Any] = Field(description="settings of the figures")
    seed: Seed = Field(description="of the resamples")
    runs: list[TableRun]
    not_recorded: list[str] = Field(description="runs in the table whose making is not known")

    @classmethod
    def beside(cls, table: Path) -> Self:
        """Read the one beside a table.

        Raises:
            InputError: there is none, or it was written by another version.
        """
        path = table.with_name(FILE)
        made_by = "'kedro run --pipeline compare' writes the table anew, with it"
        if not path.is_file():
            raise InputError(
                f"{path} is missing, which says how {table.name} was made; put it beside the "
                f"table, or where the runs are: {made_by}."
            )
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise InputError(
                f"{path} cannot be read ({where}: {first['msg']}); it was written by another "
                f"version or is damaged; {made_by}."
            ) from None


def find_table(place: Path) -> Path:
    """Return the table that a user means.

    Args:
        place: ``results.csv``, or the folder that it is in.

    Raises:
        InputError: there is none.
    """
    table = place / TABLE if place.is_dir() else place
    if not table.is_file():
        raise InputError(f"{table} does not exist; give the {TABLE} of a campaign, or its folder.")
    if table.suffix != ".csv":
        raise InputError(f"{table} is read by people; give the {TABLE} beside it.")
    return table
