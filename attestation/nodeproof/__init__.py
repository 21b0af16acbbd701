"""Remote attestation of AMD SEV-SNP nodes: what agent and operator share.

Pure: no network, no cluster, no event loop. Verify raises, appraise returns.
"""

__version__ = "0.1.0"
