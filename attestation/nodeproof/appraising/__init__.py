"""How each group of checks compares the claims with the policy; ``nodeproof.appraisal`` asks all.

Each function returns the results of its checks in the catalogue's order and raises nothing.
"""
