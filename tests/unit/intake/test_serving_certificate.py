"""Which CA and which certificate there should be at a time, checked as an agent would."""

from __future__ import annotations

from datetime import datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from fakes.intake import NOW
from nodeproof_operator.intake.serving import (
    CA_ANNOUNCED,
    CA_LIFE,
    CA_SETTLED,
    LEAF_LIFE,
    LEAF_RENEWAL,
    Names,
    Serving,
    maintain,
    names_of,
    service_names,
)

NAMES = service_names("nodeproof-operator", "nodeproof-system", ["127.0.0.1", "attest.example"])
HOST = "nodeproof-operator.nodeproof-system.svc"
CA_NEAR_ITS_END = NOW + CA_LIFE - CA_ANNOUNCED


def verify(
    serving: Serving, now: datetime, *, trusted: tuple[x509.Certificate, ...] = (), host: str = HOST
) -> None:
    subject = x509.DNSName(host) if not host[0].isdigit() else x509.IPAddress(ip_address(host))
    builder = PolicyBuilder().store(Store(list(trusted or serving.trusted))).time(now)
    builder.build_server_verifier(subject).verify(serving.leaf.certificate, [])


@pytest.fixture(scope="module")
def serving() -> Serving:
    return maintain(None, NAMES, NOW)


@pytest.mark.parametrize(
    "host",
    [
        "nodeproof-operator.nodeproof-system.svc",
        "nodeproof-operator.nodeproof-system.svc.cluster.local",
        "attest.example",
        "127.0.0.1",
    ],
)
def test_a_new_certificate_is_good_for_every_name(serving: Serving, host: str) -> None:
    verify(serving, NOW, host=host)


def test_it_is_good_for_no_other_name(serving: Serving) -> None:
    with pytest.raises(VerificationError):
        verify(serving, NOW, host="other.nodeproof-system.svc")


def test_an_agent_whose_clock_is_behind_accepts_it(serving: Serving) -> None:
    verify(serving, NOW - timedelta(minutes=4))


def test_it_lives_thirty_days(serving: Serving) -> None:
    assert serving.leaf.certificate.not_valid_after_utc == NOW + LEAF_LIFE


def test_nothing_changes_while_nothing_is_due(serving: Serving) -> None:
    almost = NOW + LEAF_RENEWAL - timedelta(seconds=1)
    assert maintain(serving, NAMES, almost) is serving


def test_it_is_renewed_under_the_same_ca(serving: Serving) -> None:
    later = NOW + LEAF_RENEWAL
    renewed = maintain(serving, NAMES, later)
    assert renewed.leaf.certificate != serving.leaf.certificate
    verify(renewed, later, trusted=serving.trusted)


def test_a_name_that_is_missing_is_added_to_those_there_are(serving: Serving) -> None:
    more = maintain(serving, Names(frozenset({"another.example"})), NOW)
    verify(more, NOW, host="another.example")
    verify(more, NOW, host="attest.example")


def test_replicas_with_different_names_agree_in_the_end(serving: Serving) -> None:
    other = Names(frozenset({"another.example"}))
    both = maintain(maintain(serving, other, NOW), NAMES, NOW)
    assert maintain(both, other, NOW) is both


def test_a_renewal_drops_names_that_nobody_asks_for(serving: Serving) -> None:
    renewed = maintain(serving, Names(frozenset({"another.example"})), NOW + LEAF_RENEWAL)
    assert names_of(renewed.leaf.certificate) == Names(frozenset({"another.example"}))


def test_a_cas_successor_is_published_before_it_issues(serving: Serving) -> None:
    announced = maintain(serving, NAMES, CA_NEAR_ITS_END)
    assert announced.ca is serving.ca
    assert len(announced.trusted) == 2
    verify(announced, CA_NEAR_ITS_END, trusted=serving.trusted)


def test_a_successor_that_was_announced_is_not_made_again(serving: Serving) -> None:
    announced = maintain(serving, NAMES, CA_NEAR_ITS_END)
    assert maintain(announced, NAMES, CA_NEAR_ITS_END + timedelta(hours=1)) is announced


def test_agents_trust_the_successor_by_the_time_it_issues(serving: Serving) -> None:
    announced = maintain(serving, NAMES, CA_NEAR_ITS_END)
    later = CA_NEAR_ITS_END + CA_SETTLED
    changed = maintain(announced, NAMES, later)
    assert changed.ca is announced.successor
    verify(changed, later, trusted=announced.trusted)


def test_the_old_ca_stays_published_until_its_end(serving: Serving) -> None:
    announced = maintain(serving, NAMES, CA_NEAR_ITS_END)
    changed = maintain(announced, NAMES, CA_NEAR_ITS_END + CA_SETTLED)
    assert serving.ca.certificate in changed.trusted
    after = maintain(changed, NAMES, NOW + CA_LIFE)
    assert serving.ca.certificate not in after.trusted


def test_a_ca_that_ended_unattended_is_replaced_at_once(serving: Serving) -> None:
    late = NOW + CA_LIFE + timedelta(days=1)
    replaced = maintain(serving, NAMES, late)
    assert len(replaced.trusted) == 1
    verify(replaced, late)


def test_no_repr_shows_a_private_key(serving: Serving) -> None:
    assert "PrivateKey" not in repr(serving)
