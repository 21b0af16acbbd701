"""The DaemonSet: asks for a challenge, answers it with a report, says why when it cannot.

It decides nothing, holds no right on the API server and opens no port but for metrics and health.
"""
