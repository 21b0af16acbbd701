"""The provider configfs-tsm on a mounted file system that behaves as the kernel's."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from fakes.blocking_time import BlockingTime
from nodeproof.protocol import EvidenceReceipt
from nodeproof.sevsnp.simulator import SimulatedMachine
from nodeproof.unavailability import Cause
from nodeproof_agent.errors import ProviderFailed
from nodeproof_agent.loop import AttestationLoop, Clock
from nodeproof_agent.metrics import ROUNDS, Metrics
from nodeproof_agent.providers.configfs_tsm import ConfigfsTSM
from nodeproof_agent.providers.worker import Platform
from nodeproof_dev.errors import NotPossible
from nodeproof_dev.platforms import Platforms
from nodeproof_dev.process import wait_until
from nodeproof_dev.tsm_model import Faults
from nodeproof_dev.tsm_mount import TsmMount, missing

pytestmark = [
    pytest.mark.fuse,
    pytest.mark.skipif(bool(missing()), reason=f"nothing can be mounted here: {missing()}"),
]

DATA = bytes(range(64))
PROGRAM = """\
import sys
from pathlib import Path
from nodeproof_agent.providers.configfs_tsm import ConfigfsTSM
ConfigfsTSM(Path(sys.argv[1])).attest(bytes(64))
"""

Make = Callable[..., ConfigfsTSM]


@pytest.fixture(scope="module")
def machine(platforms: Platforms) -> Path:
    return platforms.machine("configfs-tsm")


@pytest.fixture(scope="module")
def mounted(machine: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TsmMount]:
    with ExitStack() as stack:
        mount = TsmMount(machine, tmp_path_factory.mktemp("tsm") / "report")
        try:
            stack.enter_context(mount)
        except NotPossible as error:
            pytest.skip(str(error))
        yield mount


@pytest.fixture
def mount(mounted: TsmMount) -> Iterator[TsmMount]:
    """The mounted directory, whole and empty; no test leaves an entry."""
    mounted.faults = Faults()
    yield mounted
    mounted.faults = Faults()
    wait_until(lambda: not entries(mounted), seconds=10, what="no entries")


@pytest.fixture
def make(mount: TsmMount) -> Make:
    def made(vmpl: int | None = None, *, breath: float = 0.0) -> ConfigfsTSM:
        clock = BlockingTime(breath=breath)
        return ConfigfsTSM(mount.root, vmpl, clock=clock, sleep=clock.sleep)

    return made


@pytest.fixture
def provider(make: Make) -> ConfigfsTSM:
    return make()


def failure(provider: ConfigfsTSM) -> ProviderFailed:
    with pytest.raises(ProviderFailed) as caught:
        provider.attest(DATA)
    return caught.value


def entries(mount: TsmMount) -> list[str]:
    return [each.name for each in mount.root.iterdir()]


def test_gives_the_machines_report_and_table(provider: ConfigfsTSM, machine: Path) -> None:
    evidence = provider.attest(DATA)
    assert evidence.report[0x50:0x90] == DATA
    assert evidence.certificates == SimulatedMachine.load(machine).certificate_table()


def test_leaves_no_entry(provider: ConfigfsTSM, mount: TsmMount) -> None:
    provider.attest(DATA)
    assert entries(mount) == []


def test_attributes_have_the_kernels_modes(mount: TsmMount) -> None:
    entry = mount.root / "by-hand"
    entry.mkdir()
    modes = {each.name: oct(each.stat().st_mode & 0o777) for each in entry.iterdir()}
    entry.rmdir()
    assert modes == {
        "inblob": "0o200",
        "outblob": "0o444",
        "auxblob": "0o444",
        "provider": "0o444",
        "generation": "0o444",
        "privlevel": "0o200",
        "privlevel_floor": "0o444",
    }


def test_a_second_driver_of_an_entry_is_seen_by_its_generation(mount: TsmMount) -> None:
    entry = mount.root / "by-hand"
    entry.mkdir()
    for expected in (b"1\n", b"2\n"):
        (entry / "inblob").write_bytes(DATA)
        assert (entry / "generation").read_bytes() == expected
    assert (entry / "outblob").read_bytes()[0x50:0x90] == DATA
    entry.rmdir()


@pytest.mark.parametrize("floor", [0, 2])
def test_states_the_level_that_the_guest_runs_at(
    provider: ConfigfsTSM, mount: TsmMount, floor: int
) -> None:
    mount.faults = Faults(floor=floor)
    assert provider.attest(DATA).report[0x30] == floor


def test_states_the_level_that_it_was_told(make: Make) -> None:
    assert make(vmpl=3).attest(DATA).report[0x30] == 3


@pytest.mark.parametrize(
    "faults",
    [
        Faults(error="EBUSY", times=3),
        Faults(error="EAGAIN", times=1),
        Faults(rivals=1),
        Faults(late_rivals=1),
        Faults(lost_writes=1),
    ],
    ids=["firmware busy", "throttled", "overwritten", "overwritten late", "lost"],
)
def test_what_passes_is_waited_for(provider: ConfigfsTSM, mount: TsmMount, faults: Faults) -> None:
    mount.faults = faults
    assert provider.attest(DATA).report[0x50:0x90] == DATA
    assert entries(mount) == []


FAILURES = [
    pytest.param(Faults(error="EBUSY"), Cause.FIRMWARE_BUSY, id="firmware stays busy"),
    pytest.param(Faults(error="EAGAIN"), Cause.FIRMWARE_BUSY, id="host throttles"),
    pytest.param(Faults(error="ETIMEDOUT"), Cause.TIMED_OUT, id="driver gave up"),
    pytest.param(Faults(error="ENOTTY"), Cause.KEY_DISABLED, id="VMPCK lost"),
    pytest.param(Faults(error="EBADMSG"), Cause.KEY_DISABLED, id="answer not authentic"),
    pytest.param(Faults(error="EIO"), Cause.FIRMWARE_ERROR, id="firmware error"),
    pytest.param(Faults(report_bytes=600), Cause.REPORT_MALFORMED, id="short read"),
    pytest.param(Faults(report_bytes=0), Cause.REPORT_MALFORMED, id="empty read"),
    pytest.param(Faults(other_data=True), Cause.REPORT_MALFORMED, id="not our data"),
    pytest.param(Faults(table_bytes=70_000), Cause.CERTIFICATES_TOO_LARGE, id="large table"),
    pytest.param(Faults(rivals=1000), Cause.INTERFERED, id="always overwritten"),
    pytest.param(Faults(provider=""), Cause.PROVIDER_MISSING, id="no driver"),
    pytest.param(Faults(provider="tdx_guest"), Cause.PROVIDER_MISSING, id="other driver"),
    pytest.param(Faults(denied=True), Cause.PERMISSION_DENIED, id="no permission"),
]


@pytest.mark.parametrize(("faults", "cause"), FAILURES)
def test_names_what_is_wrong_removes_its_entry_and_recovers(
    provider: ConfigfsTSM, mount: TsmMount, faults: Faults, cause: Cause
) -> None:
    mount.faults = faults
    assert failure(provider).cause is cause
    assert entries(mount) == []
    mount.faults = Faults()
    assert provider.attest(DATA).report[0x50:0x90] == DATA


def test_a_level_below_the_floor_is_refused(make: Make, mount: TsmMount) -> None:
    mount.faults = Faults(floor=1)
    before = mount.reports
    assert failure(make(vmpl=0)).cause is Cause.PRIVILEGE_REFUSED
    assert mount.reports == before


def rounds(metrics: Metrics, reason: str) -> float:
    families = text_string_to_metric_families(metrics.exposition().decode())
    samples = [each for family in families for each in family.samples if each.name == ROUNDS]
    return sum(each.value for each in samples if each.labels["reason"] == reason)


@pytest.mark.parametrize(("faults", "cause"), FAILURES)
async def test_a_failed_round_is_logged_counted_and_got_over_without_a_restart(
    provider: ConfigfsTSM, mount: TsmMount, faults: Faults, cause: Cause
) -> None:
    platform, metrics, mended = Platform(provider), Metrics(provider="test"), asyncio.Event()

    async def attest() -> EvidenceReceipt:
        await platform.attest(DATA)
        return EvidenceReceipt(sequence=1, next_seconds=300)

    async def sleep(_: float) -> None:
        if mount.faults == Faults():
            mended.set()
            await asyncio.Event().wait()
        mount.faults = Faults()

    mount.faults = faults
    loop = AttestationLoop(attest, metrics, clock=Clock(sleep=sleep))
    with capture_logs() as logs:
        running = asyncio.create_task(loop.run())
        await asyncio.wait_for(mended.wait(), 60)
        running.cancel()
    assert [each["reason"] for each in logs if each["event"] == "attestation failed"] == [cause]
    assert logs[-1]["event"] == "evidence accepted"
    assert (rounds(metrics, cause), rounds(metrics, "")) == (1, 1)


async def test_firmware_that_hangs_is_given_up_and_found_again(
    provider: ConfigfsTSM, mount: TsmMount
) -> None:
    mount.faults = Faults(hanging=True)
    platform = Platform(provider, patience_seconds=0.2)
    with pytest.raises(ProviderFailed) as caught:
        await platform.attest(DATA)
    assert caught.value.cause is Cause.TIMED_OUT
    mount.faults = Faults()
    wait_until(lambda: not entries(mount), seconds=10, what="the late answer")
    assert (await Platform(provider).attest(DATA)).report[0x50:0x90] == DATA


def test_an_agent_does_not_wait_for_ever_for_one_that_hangs(make: Make, mount: TsmMount) -> None:
    before = mount.reports
    mount.faults = Faults(hanging=True)
    with ThreadPoolExecutor() as threads:
        hanging = threads.submit(make().attest, DATA)
        wait_until(lambda: mount.reports > before, seconds=10, what="a request")
        other = threads.submit(make().attest, bytes(64))
        wait_until(lambda: mount.reports > before + 1, seconds=10, what="the other's request")
        mount.faults = Faults()
        assert hanging.result(10).report[0x50:0x90] == DATA
        assert other.result(10).report[0x50:0x90] == bytes(64)


def test_agents_that_race_each_get_their_own_reports(make: Make, mount: TsmMount) -> None:
    asked = [bytes([number]) * 64 for number in range(12)]
    providers = [make(breath=0.02) for _ in range(3)]

    def all_of(number: int) -> list[bytes]:
        return [providers[number].attest(data).report[0x50:0x90] for data in asked[number::3]]

    with ThreadPoolExecutor() as threads:
        answers = list(threads.map(all_of, range(3)))
    assert answers == [asked[number::3] for number in range(3)]
    assert entries(mount) == []


def test_an_entry_that_cannot_be_removed_goes_with_the_next_request(
    provider: ConfigfsTSM, mount: TsmMount
) -> None:
    mount.faults = Faults(removals_failing=1)
    assert provider.attest(DATA).report[0x50:0x90] == DATA
    assert len(entries(mount)) == 1
    provider.attest(DATA)
    assert entries(mount) == []


def test_what_a_killed_agent_left_behind_goes_at_the_next_start(
    provider: ConfigfsTSM, mount: TsmMount
) -> None:
    before = mount.reports
    mount.faults = Faults(hanging=True)
    command = [sys.executable, "-c", PROGRAM, str(mount.root)]
    killed = subprocess.Popen(command)  # noqa: S603 - our own program
    wait_until(lambda: mount.reports > before, seconds=20, what="a request")
    killed.kill()
    # As with the kernel's, a process in the middle of a request ends with it.
    mount.faults = Faults()
    killed.wait(20)
    (left_behind,) = entries(mount)
    assert left_behind.startswith(f"nodeproof-{killed.pid}-")
    (mount.root / "another-tool").mkdir()
    provider.attest(DATA)
    remaining = entries(mount)
    (mount.root / "another-tool").rmdir()
    assert remaining == ["another-tool"]


def test_a_probe_leaves_nothing_and_asks_nothing(provider: ConfigfsTSM, mount: TsmMount) -> None:
    before = mount.reports
    provider.probe()
    assert (mount.reports, entries(mount)) == (before, [])


def test_a_machine_that_was_booted_again_answers_anew(provider: ConfigfsTSM, machine: Path) -> None:
    before = SimulatedMachine.load(machine)
    before.reboot().save(machine)
    assert provider.attest(DATA).report[0x140:0x160] != before.report_id
