"""How runs are tracked with MLflow without depending on it: a result never waits for its record."""
