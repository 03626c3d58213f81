"""Where sound comes from: folder layouts, simulation and published data sets."""
