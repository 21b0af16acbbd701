"""AMD SEV-SNP: what a report says, and whether an AMD processor said it.

``verify.verify`` is the one door; the other modules are what it is made of. Facts from AMD's
documents name them by number: 56860 is the SEV-SNP firmware ABI, 57230 the VCEK certificate and key
distribution service, 58369 the VLEK certificate, 56421 the guest-hypervisor communication block.
"""
