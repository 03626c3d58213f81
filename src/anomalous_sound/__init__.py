"""anomalous-sound: learns the normal sound of a machine and says when it stops sounding normal."""

__version__ = "0.1.0"
