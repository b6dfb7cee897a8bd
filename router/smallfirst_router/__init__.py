"""The router: triage and dispatch."""
