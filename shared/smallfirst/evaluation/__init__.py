"""How good a cascade is, and what may be promised of it: calibration and evaluation.

Nothing here is imported by a producer, a router or a worker; the command line imports it when it is
asked, with the extra `evaluation`.
"""
