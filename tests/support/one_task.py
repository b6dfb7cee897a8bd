"""The smallest catalogue that a fleet can be dispatched by: one pool, one model, one task."""

CATALOGUE = """
version: 1
pools:
  cpu: {tier: slm, max_parameters: 50M, batch_jobs: 64}
models:
  minilm: {source: "bundled:minilm"}
tasks:
  topic:
    kind: classify
    labels: {a: one, b: two}
    cascade: [{model: minilm, accept: 0.8}]
"""
