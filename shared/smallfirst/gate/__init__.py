"""The gate: whether a candidate may take a live cascade's place, by what people said of both."""
