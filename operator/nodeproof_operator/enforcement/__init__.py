"""From stored evidence to conditions, labels and taints: the Lease holder's work.

Pure: ``selection``, ``verdict``, ``result``, ``desired``, ``taints``. The rest carries it out.
"""
