"""Drift: whether a task's jobs are still like the rows that its promise was made on. Pure.

What is counted of jobs is `ledger.seen`'s business; what was counted of rows stands in the promise.
"""
