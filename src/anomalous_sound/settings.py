"""Kedro's settings of this project."""

import copy
import os
import sys
import warnings
from pathlib import Path

from anomalous_sound.interruption import end_at_once

# the imports that follow take seconds; `kedro viz` and the like have handlers of their own
_command = Path(sys.argv[0])
_is_kedro = _command.stem in ("kedro", "python -m kedro")  # the latter is what Kedro writes there
if _is_kedro and {"run", "reproduce"} & set(sys.argv[1:2]):
    end_at_once()

# nothing leaves the machine unless the user asks for it
os.environ.setdefault("KEDRO_DISABLE_TELEMETRY", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# conf/logging.yml says what is logged, not MLflow
os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")
# MLflow warns of a class in kedro-mlflow, and puts its own filter before any of ours
with warnings.catch_warnings(record=True) as caught:
    import kedro_mlflow.mlflow  # noqa: F401
for other in caught:
    if "Add type hints to the `predict` method" not in str(other.message):
        warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)

from anomalous_sound.config_loader import TypedConfigLoader  # noqa: E402
from anomalous_sound.console import keep_progress_bars_whole  # noqa: E402
from anomalous_sound.hooks import (  # noqa: E402
    ClusterHooks,
    LockHooks,
    NameHooks,
    ProcessHooks,
    SummaryHooks,
)
from anomalous_sound.tracking.hooks import TrackingHooks  # noqa: E402

keep_progress_bars_whole()

# the last comes first: which detector it is about says which locks are taken
HOOKS = (
    SummaryHooks(),
    TrackingHooks(),
    ProcessHooks(),
    LockHooks(),
    NameHooks(),
    ClusterHooks(),
)
DISABLE_HOOKS_FOR_PLUGINS = ("kedro_mlflow", "kedro-telemetry")  # TrackingHooks is kedro-mlflow's

CONFIG_LOADER_CLASS = TypedConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # an environment, or --params, changes single values of a group and leaves the others
    "merge_strategy": {"parameters": "soft", "globals": "soft"},
    # a group of a profile, for a method to change: else --params for one would change it for all
    "custom_resolvers": {"own_copy": copy.deepcopy},
    "config_patterns": {"mlflow": ["mlflow*", "mlflow*/**", "**/mlflow*"]},
}
