from __future__ import annotations

import asyncio
import base64
import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from structlog.testing import LogCapture

from fakes.fake_api import FakeApi
from fakes.intake import NAMESPACE, NOW, Time, cluster, keyring_for, meeting
from nodeproof.challenge import Challenge, Subject, key_id, mint
from nodeproof.errors import ChallengeForged, Overloaded
from nodeproof_operator.cluster.errors import Unreachable
from nodeproof_operator.cluster.objects import CHALLENGE_KEYS, config_map, secret
from nodeproof_operator.cluster.secrets import SealedStore
from nodeproof_operator.intake.challenges import ENTRY, Keyring, KeyringUnreadable
from nodeproof_operator.intake.keys import HANDOVER, RETIREMENT, ROTATION, maintain, make_key

SECRET = secret(NAMESPACE, CHALLENGE_KEYS)
CONFIG_MAP = config_map(NAMESPACE, CHALLENGE_KEYS)


@pytest.fixture
async def keyring(api: FakeApi, time: Time) -> Keyring:
    made = keyring_for(api, time)
    await made.refresh()
    return made


def signed(keyring: Keyring, time: Time) -> bytes:
    key = keyring.signing_key()
    subject = Subject("cluster", "node", "node-uid", "pod-uid", bytes(32))
    challenge = Challenge(key.id, bytes(32), time.now(), subject, "record-uid", 0)
    return mint(challenge, key.private_key)


async def refreshed_after(keyring: Keyring, time: Time, duration: timedelta) -> None:
    time.elapsed += duration
    await keyring.refresh()


async def test_an_empty_secret_is_filled(api: FakeApi, keyring: Keyring) -> None:
    assert keyring.ready
    assert set(api.read(SECRET)["data"]) == {ENTRY}


async def test_a_second_replica_takes_the_first_ones_key(
    api: FakeApi, time: Time, keyring: Keyring
) -> None:
    other = keyring_for(api, time)
    await other.refresh()
    assert other.signing_key().id == keyring.signing_key().id


async def test_two_replicas_starting_at_once_end_with_one_keyring(api: FakeApi, time: Time) -> None:
    one, two = keyring_for(api, time), keyring_for(api, time)
    api.before = meeting("PATCH", 2)
    await asyncio.gather(one.refresh(), two.refresh())
    assert one.public_keys().keys() == two.public_keys().keys()
    assert len(one.public_keys()) == 1


async def test_nothing_is_written_while_nothing_is_due(api: FakeApi, keyring: Keyring) -> None:
    writes = len(api.sent("PATCH"))
    await keyring.refresh()
    assert len(api.sent("PATCH")) == writes


async def test_a_new_key_is_known_to_all_before_it_signs(time: Time, keyring: Keyring) -> None:
    first = keyring.signing_key().id
    await refreshed_after(keyring, time, ROTATION)
    assert len(keyring.public_keys()) == 2
    assert keyring.signing_key().id == first
    time.elapsed += HANDOVER
    assert keyring.signing_key().id != first


async def test_a_retired_key_still_opens_challenges(time: Time, keyring: Keyring) -> None:
    challenge = signed(keyring, time)
    await refreshed_after(keyring, time, ROTATION)
    await refreshed_after(keyring, time, HANDOVER)
    assert (await keyring.open(challenge)).node_attestation_uid == "record-uid"


async def test_a_retired_keys_private_half_is_destroyed(time: Time, keyring: Keyring) -> None:
    await refreshed_after(keyring, time, ROTATION)
    await refreshed_after(keyring, time, HANDOVER)
    assert [bool(key.private_key) for key in keyring._keys] == [False, True]


async def test_a_retired_key_is_forgotten_in_the_end(
    api: FakeApi, time: Time, keyring: Keyring
) -> None:
    first = keyring.signing_key().id
    await refreshed_after(keyring, time, ROTATION)
    await refreshed_after(keyring, time, HANDOVER + RETIREMENT)
    assert first not in keyring.public_keys()
    assert f"{first}.pem" not in api.read(CONFIG_MAP)["data"]


async def test_a_retired_key_is_kept_as_long_as_evidence_may_live(
    time: Time, keyring: Keyring
) -> None:
    first = keyring.signing_key().id
    await refreshed_after(keyring, time, ROTATION)
    await refreshed_after(keyring, time, HANDOVER + timedelta(hours=47))
    assert first in keyring.public_keys()


def test_a_long_absence_leaves_a_key_to_sign_with() -> None:
    keys = maintain((make_key(NOW),), NOW + timedelta(days=30))
    assert [bool(key.private_key) for key in keys] == [True, True]


async def test_the_public_halves_are_published(api: FakeApi, keyring: Keyring) -> None:
    published = api.read(CONFIG_MAP)["data"]
    name = keyring.signing_key().id
    key = load_pem_public_key(published[f"{name}.pem"].encode())
    assert isinstance(key, Ed25519PublicKey)
    assert key_id(key) == name
    assert "PRIVATE" not in str(published)


async def test_a_key_in_the_publication_is_not_believed(
    api: FakeApi, time: Time, keyring: Keyring
) -> None:
    foreign = keyring_for(cluster(), time)
    await foreign.refresh()
    api.put(CONFIG_MAP, {"data": {"x.pem": "a foreign key"}})
    with pytest.raises(ChallengeForged):
        await keyring.open(signed(foreign, time))


async def test_a_publication_that_was_changed_is_repaired(api: FakeApi, keyring: Keyring) -> None:
    good = api.read(CONFIG_MAP)["data"]
    api.put(CONFIG_MAP, {"data": {"x.pem": "a foreign key"}})
    await keyring.refresh()
    assert api.read(CONFIG_MAP)["data"] == good


async def test_a_publication_that_fails_stops_nothing(api: FakeApi, time: Time) -> None:
    api.fail_next(Unreachable("no answer", status=0), path=CONFIG_MAP)
    keyring = keyring_for(api, time)
    await keyring.refresh()
    assert keyring.ready


async def test_a_key_of_another_replica_is_looked_up(
    api: FakeApi, time: Time, keyring: Keyring
) -> None:
    api.put(SECRET, {})  # an admin has emptied it
    other = keyring_for(api, time)
    await other.refresh()
    challenge = signed(other, time)
    assert (await keyring.open(challenge)).key_id == other.signing_key().id


async def test_unknown_keys_are_looked_up_once_in_a_while(
    api: FakeApi, time: Time, keyring: Keyring
) -> None:
    foreign = keyring_for(cluster(), time)
    await foreign.refresh()
    before = len(api.sent("GET", SECRET))
    for _ in range(5):
        with pytest.raises(ChallengeForged):
            await keyring.open(signed(foreign, time))
    assert len(api.sent("GET", SECRET)) == before + 1
    time.pass_by(seconds=10)
    with pytest.raises(ChallengeForged):
        await keyring.open(signed(foreign, time))
    assert len(api.sent("GET", SECRET)) == before + 2


async def test_an_unknown_key_that_cannot_be_looked_up_is_no_verdict(
    api: FakeApi, time: Time, keyring: Keyring
) -> None:
    foreign = keyring_for(cluster(), time)
    await foreign.refresh()
    api.fail_next(Unreachable("no answer", status=0))
    with pytest.raises(Overloaded):
        await keyring.open(signed(foreign, time))


async def test_before_the_first_reading_nothing_is_signed_or_judged(
    api: FakeApi, time: Time, keyring: Keyring
) -> None:
    challenge = signed(keyring, time)
    fresh = keyring_for(api, time)
    api.fail_next(Unreachable("no answer", status=0), times=2)
    assert not fresh.ready
    with pytest.raises(Overloaded):
        fresh.signing_key()
    with pytest.raises(Overloaded):
        await fresh.open(challenge)


async def test_keys_stay_in_use_while_the_secret_cannot_be_read(
    api: FakeApi, keyring: Keyring
) -> None:
    known = keyring.signing_key().id
    api.fail_next(Unreachable("no answer", status=0))
    with pytest.raises(Unreachable):
        await keyring.refresh()
    assert keyring.signing_key().id == known


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'[{"public_key": "AAAA", "created_time": "2026-03-01T00:00:00Z"}]',
    ],
)
async def test_a_secret_with_something_else_is_left_alone(
    api: FakeApi, time: Time, content: bytes
) -> None:
    data = {ENTRY: base64.b64encode(content).decode()}
    api.put(SECRET, {"data": data})
    with pytest.raises(KeyringUnreadable):
        await keyring_for(api, time).refresh()
    assert api.read(SECRET)["data"] == data


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("created_time", "2026-03-01T00:00:00"),
        ("private_key", base64.b64encode(bytes(32)).decode()),
    ],
    ids=["a time without a zone", "a half of another key"],
)
async def test_a_key_that_would_break_its_users_is_left_alone(
    api: FakeApi, keyring: Keyring, time: Time, member: str, value: str
) -> None:
    assert keyring.ready
    ((name, content),) = api.read(SECRET)["data"].items()
    (key,) = json.loads(base64.b64decode(content))
    spoilt = json.dumps([key | {member: value}]).encode()
    data = {name: base64.b64encode(spoilt).decode()}
    api.put(SECRET, {"data": data})
    with pytest.raises(KeyringUnreadable):
        await keyring_for(api, time).refresh()
    assert api.read(SECRET)["data"] == data


async def test_neither_repr_nor_log_shows_a_private_key(
    api: FakeApi, keyring: Keyring, log: LogCapture
) -> None:
    private = keyring._keys[0].private_key
    data, _ = await SealedStore(api, NAMESPACE).read(CHALLENGE_KEYS)
    shown = repr(keyring._keys) + repr(keyring) + repr(keyring.signing_key()) + repr(log.entries)
    assert base64.b64encode(private) in data[ENTRY]
    assert repr(private) not in shown
    assert base64.b64encode(private).decode() not in shown
