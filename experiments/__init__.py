"""How the standard score and the thresholds were chosen."""
