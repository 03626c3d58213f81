"""How fast the project is against the plain way, as ratios; see run.py."""
