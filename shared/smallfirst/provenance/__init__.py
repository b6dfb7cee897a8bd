"""Where labelled rows are from: who answered each, and what was learned from which of them."""
