"""``python -m anomalous_sound.command``: the same as ``anomalous-sound``."""

from anomalous_sound.command.app import run

if __name__ == "__main__":
    run()
