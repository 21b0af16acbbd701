"""The command ``nodeproof``: what a person asks at a terminal, or a script in a pipeline.

It stands above everything else and decides nothing of its own: it reads files, asks the verifier,
and puts the answer into words or JSON.
"""
