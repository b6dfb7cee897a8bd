"""The review desk: people answer in a browser what no model was sure of."""
