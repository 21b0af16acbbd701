"""The order of a cleanup: the Lease, the Nodes, the results; or the Lease back."""

from __future__ import annotations

from collections.abc import Callable

from nodeproof.errors import NodeproofError
from nodeproof_operator.cleanup.results import count_results, delete_results
from nodeproof_operator.cleanup.settings import Settings
from nodeproof_operator.cleanup.sweeping import Sweeper, Swept
from nodeproof_operator.cluster.gateway import Gateway
from nodeproof_operator.cluster.lease import REAL_TIME, Timing
from nodeproof_operator.cluster.lease_seizure import HOLD_SECONDS, LeaseSeizure

Say = Callable[[str], None]


class Cleanup:
    """One run of the command.

    Args:
        settings: What to do.
        gateway: The door to the API server.
        say: Told in lines what is done, for the admin.
        timing: Clocks.
    """

    def __init__(
        self, settings: Settings, gateway: Gateway, say: Say, timing: Timing = REAL_TIME
    ) -> None:
        self._settings = settings
        self._gateway = gateway
        self._say = say
        self._seizure = LeaseSeizure(
            gateway, namespace=settings.namespace, identity=settings.identity, timing=timing
        )
        self._sweeper = Sweeper(gateway, self._seizure, timing, say)

    async def run(self) -> bool:
        """Do it all; tell whether everything is done. If not, the Lease is free again."""
        done = False
        try:
            done = await self._work()
        except NodeproofError as error:
            self._say(f"FAILED: {error.reason}: {error}")
        finally:
            if not done:
                await self._seizure.release()
                self._say("not all is done: the Lease is given back, an operator goes on as before")
        return done

    async def _work(self) -> bool:
        self._say("taking the Lease, so that no operator writes to Nodes")
        former = await self._seizure.take()
        self._say(f"the Lease is ours; {former or 'nobody'} held it")
        async with self._seizure.renewed():
            swept = await self._sweeper.sweep(self._settings.seconds)
            self._tell(swept)
            if swept.failures:
                return False
            await self._settle_results()
        await self._seizure.leave()
        self._say(f"done: no operator leads in the next {HOLD_SECONDS:.0f} s")
        return True

    def _tell(self, swept: Swept) -> None:
        for name, why in sorted(swept.failures.items()):
            self._say(f"FAILED: node {name} may still carry our labels or taint: {why}")
        self._say(f"{swept.nodes} nodes: {swept.cleaned} cleaned, {len(swept.failures)} failed")

    async def _settle_results(self) -> None:
        if self._settings.delete_results:
            self._say(f"results: {await delete_results(self._gateway)} NodeAttestations deleted")
        else:
            self._say(f"results: {await count_results(self._gateway)} NodeAttestations kept")
