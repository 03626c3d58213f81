"""``python -m anomalous_sound``: the same as ``kedro run`` in the project's folder."""

import sys
from pathlib import Path

from anomalous_sound.errors import missing_package
from anomalous_sound.interruption import end_at_once


def main() -> None:
    """Run the pipeline named on the command line."""
    if is_command := not hasattr(sys, "ps1"):
        end_at_once()  # the imports that follow take seconds
    try:
        from kedro.framework.cli.utils import find_run_command
        from kedro.framework.project import configure_project
    except ModuleNotFoundError as error:
        sys.exit(f"Error: {missing_package(error)}.")
    package_name = Path(__file__).parent.name
    configure_project(package_name)
    find_run_command(package_name)(standalone_mode=is_command)


if __name__ == "__main__":
    main()
