"""Fitting: from labelled rows to the cheapest cascade that keeps a target, ready to serve."""
