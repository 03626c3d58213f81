"""Figures and pages for people. No Kedro in here."""
