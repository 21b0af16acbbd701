"""Tells an administrator whether an installation works, and what to do where it does not.

``reading`` asks the cluster, ``service`` the evidence service; all the rest is pure: what was read
goes in, findings come out.
"""
