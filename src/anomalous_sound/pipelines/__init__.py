"""The wiring: which function is fed by which dataset."""
