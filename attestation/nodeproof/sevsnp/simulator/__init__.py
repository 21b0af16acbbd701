"""A software SEV-SNP platform: real report bytes and a real chain, with no silicon behind them.

For laptops, demonstrations and tests. An ``authority`` stands in for AMD, a *processor* for the
chip and its firmware, a *machine* for the guest on it. The verifier does not know this
package; what it makes counts only where its root is pinned as simulated.
"""

from nodeproof.sevsnp.simulator.authority import SimulatedAuthority
from nodeproof.sevsnp.simulator.processor import SimulatedMachine, SimulatedProcessor

__all__ = ["SimulatedAuthority", "SimulatedMachine", "SimulatedProcessor"]
