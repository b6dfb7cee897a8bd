"""The large model's half of each kind of task: one module a kind, `WRITTEN` in each."""
