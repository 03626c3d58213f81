"""Devices, precision and threads."""
