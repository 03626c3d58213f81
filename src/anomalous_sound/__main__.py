"""``python -m anomalous_sound``: the same as ``kedro run`` in the project's folder."""

import sys
from pathlib import Path

from anomalous_sound.errors import missing_package


def main() -> None:
    """Run the pipeline named on the command line."""
    try:
        from kedro.framework.cli.utils import find_run_command
        from kedro.framework.project import configure_project
    except ModuleNotFoundError as error:
        sys.exit(f"Error: {missing_package(error)}.")
    package_name = Path(__file__).parent.name
    configure_project(package_name)
    find_run_command(package_name)(standalone_mode=not hasattr(sys, "ps1"))


if __name__ == "__main__":
    main()
