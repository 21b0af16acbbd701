"""AMD's certificates and revocation lists: where they come from when the evidence lacks them.

Everything here is a hint until it chains to a pinned root: this room decides what is *looked for*,
never what is genuine.
"""
