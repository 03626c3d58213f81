"""Recordings become clips: decoded, checked and split."""
