"""From samples to log-mel frames, their scaling and their windows."""
