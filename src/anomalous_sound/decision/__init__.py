"""Thresholds from normal clips alone, and the decisions they make. Nothing in here sees a label."""
