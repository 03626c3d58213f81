"""Published data sets: downloaded, checked and unpacked once. Knows nothing of Kedro."""
