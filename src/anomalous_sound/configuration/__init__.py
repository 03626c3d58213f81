"""The types of all settings, a module for each group of them."""
