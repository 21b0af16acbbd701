"""``nodeproof-agent doctor``: why this machine gives evidence, or none, in plain words.

``machine`` is what can be seen; ``probes`` see it; ``findings`` word what was seen; ``diagnosis``
judges it and ``advice`` says what to do; ``rendering`` writes it all down. Only ``trying`` asks the
firmware, and only when told to.
"""
