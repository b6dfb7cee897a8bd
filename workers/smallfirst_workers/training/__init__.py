"""Training a small model of a task's own from labelled rows; `smallfirst train` runs it.

The rows are read, part of them is held out, an encoder and a head are trained, the engine that will
serve them measures them, and a folder that the catalogue can name is written whole or not at all.
"""
