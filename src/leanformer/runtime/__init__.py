"""Run a finished model fast, and prove what ran.

A model becomes one graph (`graph`), is exported or kept by a backend (`backends`), tried in a
subprocess (`smoke`), raced on this machine (`race`), and served by `load(folder).predict(texts)`
(`predictor`). What is served is a `system` that answers texts: a transformer is one kind of it.
"""
