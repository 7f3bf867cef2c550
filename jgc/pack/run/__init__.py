"""A restored model at work: on integers or floats, on graphs and data sets, timed."""
