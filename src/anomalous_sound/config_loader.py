"""Kedro's configuration loader, with parameters as types, and the detector's name in all paths."""

from __future__ import annotations

import os
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader
from omegaconf import OmegaConf

from anomalous_sound.configuration.names import safe_name
from anomalous_sound.errors import InputError
from anomalous_sound.parameters import parse_parameters

# Kedro splits --params at its commas, and some folders have commas in their names
AUDIO_DIR = "AUDIO_DIR"

# a run asks for them a dozen times, and to read them takes a good part of a second
_READ_ONCE = ("globals", "parameters")


class TypedConfigLoader(OmegaConfigLoader):
    """``OmegaConfigLoader`` that checks all parameters and returns them as settings types.

    It does so for every command, kedro-viz and notebooks included, which do not call the project's
    hooks. Kedro can validate parameters by the type hints of nodes too, but it does not know which
    network belongs to which method, and it suggests no names.

    The environment variable ``AUDIO_DIR`` gives ``audio_dir``, unless it is given for the run.

    The catalog reads ``${detector_name:}`` and ``${detector_method:}``: what the detector is called
    and, where one judges, how it was trained; ``${environment:}`` and ``${given_parameters:}``:
    what the command has asked for; and ``${engine:}``: where work is done.

    Parameters and globals are read once: a run goes by what they were when it began.
    """

    def __init__(
        self,
        conf_source: str,
        env: str | None = None,
        runtime_params: dict[str, Any] | None = None,
        **named: Any,
    ) -> None:
        """Create the loader; see ``OmegaConfigLoader``.

        Raises:
            InputError: there is no such environment.
        """
        _check_environment(Path(conf_source), env)
        self._judging: tuple[str, str] | None = None
        self._read: dict[str, Any] = {}
        given = with_detector_name(runtime_params or {})
        if os.environ.get(AUDIO_DIR):
            given = {"audio_dir": os.environ[AUDIO_DIR]} | given
        super().__init__(conf_source, env, given, **named)

    def __getitem__(self, key: str) -> Any:
        """Return the configuration of a kind.

        Raises:
            InputError: a parameter is unknown, missing or not accepted.
        """
        if key == "catalog":
            method = self._judging[1] if self._judging else self.detector_method
            of = {
                "detector_name": self.name_of_run,
                "detector_method": method,
                "environment": self.env,
                "given_parameters": dict(self.runtime_params),
                "engine": self["parameters"]["engine"].model_dump(),
            }
            for resolver, value in of.items():
                # of the whole process, as Kedro's own resolvers are
                OmegaConf.register_new_resolver(resolver, lambda value=value: value, replace=True)
        if key not in self._read:
            values = super().__getitem__(key)
            if key == "parameters":
                values = dict(parse_parameters(values))
            if key not in _READ_ONCE:
                return values
            self._read[key] = values
        return deepcopy(self._read[key])

    def __setitem__(self, key: str, value: Any) -> None:
        """Take a configuration that is given, instead of what files say."""
        self._read.pop(key, None)
        super().__setitem__(key, value)

    @property
    def detector_name(self) -> str:
        """What the detector is called: as the user says, or else as its corpus is."""
        return self.given_name or corpus_name(self["parameters"], self["globals"])

    @property
    def given_name(self) -> str | None:
        """What the user calls the detector, if anything."""
        name: str | None = self["parameters"]["detector"].name
        return name

    @property
    def detector_method(self) -> str:
        """The method whose detector judges."""
        return str(self["parameters"]["inference"].method)

    @property
    def names_method(self) -> bool:
        """Whether the user names the method whose detector judges."""
        return "method" in self.runtime_params.get("inference", {})

    @property
    def name_of_run(self) -> str:
        """The name of the detector that is made, or that judges."""
        return self._judging[0] if self._judging else self.detector_name

    def judge_with(self, name: str, method: str) -> None:
        """From now on, let the catalog be that of a detector which judges."""
        self._judging = (name, method)


def with_detector_name(runtime_params: Mapping[str, Any]) -> dict[str, Any]:
    """Write out ``detector="press_3"`` and ``detector="press_3/gru"``.

    >>> with_detector_name({"detector": "press_3/gru"})
    {'detector': {'name': 'press_3'}, 'inference': {'method': 'gru'}}
    """
    params = dict(runtime_params)
    group = params.get("detector", {})
    group = {"name": group} if not isinstance(group, Mapping) else dict(group)
    if group.get("name") is not None:
        name, *method = str(group["name"]).strip().split("/")
        if name and len(method) == 1:
            params["inference"] = {"method": method[0], **params.get("inference", {})}
            group["name"] = name
        else:
            group["name"] = str(group["name"]).strip()
    return params | {"detector": group} if group else params


def corpus_name(parameters: Mapping[str, Any], of_globals: Mapping[str, Any]) -> str:
    """Return what a corpus is called where the user gives no name.

    A folder of recordings has its own name, a published data set that of the data set, and the
    simulated corpus its machine type. A machine type that was chosen, and parts of a data set other
    than usual, are added: what is trained on them is another detector.
    """
    audio_dir, corpus = parameters["audio_dir"], parameters["corpus"]
    if audio_dir is not None:
        place = Path(audio_dir).expanduser().resolve()
        name = place.stem if place.is_file() else place.name
        chosen = [] if corpus.machine_type in (None, name) else [corpus.machine_type]
        return safe_name(name, *chosen)
    machine_type = corpus.machine_type or of_globals["machine_type"]
    if of_globals["source"] == "simulated":
        return safe_name(machine_type)
    parts = [] if corpus.parts in (None, of_globals["parts"]) else corpus.parts
    return safe_name(of_globals["data_set"]["folder"], machine_type, *parts)


def _check_environment(conf: Path, env: str | None) -> None:
    # Kedro would go on with the base configuration, or fail later
    if env is None or not conf.is_dir() or (conf / env).is_dir():
        return
    there = sorted(folder.name for folder in conf.iterdir() if folder.is_dir())
    raise InputError(f"there is no environment '{env}'; there are {', '.join(there)} in {conf}/.")
