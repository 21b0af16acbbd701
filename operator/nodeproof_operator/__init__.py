"""The nodeproof operator: verifier of evidence, writer of Nodes.

Rooms: ``cluster`` speaks to the API server, ``intake`` takes evidence, ``enforcement`` appraises
and writes. Intake and enforcement do not know each other; both stand on ``cluster``.
"""
