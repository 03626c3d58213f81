"""Simulated recordings of slide rails, for use where no recordings are at hand."""
