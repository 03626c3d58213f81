"""The command ``anomalous-sound``: use a trained detector without Kedro and MLflow."""
