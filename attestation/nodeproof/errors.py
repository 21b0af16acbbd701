"""Everything nodeproof raises on its own account.

Each error carries a stable machine-readable ``reason`` (its class name), what was expected and what
was observed. The reason is the same word in exceptions, HTTP answers, conditions, logs, metrics::

    NodeproofError
    ├── VerificationError            the evidence is not shown to be genuine
    │   ├── ReportMalformed          wrong size, reserved bytes set, a field out of its range
    │   ├── ReportVersionUnsupported a layout that this release does not know
    │   ├── ProductUnknown           no known AMD product makes such a report
    │   ├── CertificateMalformed     a certificate, or a table of them, cannot be read
    │   ├── EndorsementsMissing      no usable VEK, intermediate or root is at hand
    │   ├── RootUntrusted            the chain ends in a key that is not pinned
    │   ├── ChainInvalid             a certificate breaks its profile, its dates or its signature
    │   ├── EndorsementMismatch      the VEK was issued for another chip or firmware
    │   ├── SignatureInvalid         the VEK did not sign these bytes
    │   ├── SignerRevoked            AMD has revoked the intermediate or the root
    │   ├── RevocationUnknown        no usable revocation list is at hand, though one is required
    │   └── ReportDataMismatch       genuine, but not the answer to our challenge
    ├── ChallengeError               the challenge cannot be accepted back
    │   ├── ChallengeMalformed       not a challenge at all
    │   ├── ChallengeForged          no key of this cluster signed it
    │   ├── ChallengeExpired         its life is over, or has not begun
    │   ├── ChallengeSuperseded      newer evidence has been accepted since
    │   └── IdentityMismatch         it was given to another node, pod, token or cluster
    ├── MessageError                 an HTTP body that does not follow the protocol
    │   ├── MessageMalformed
    │   ├── MessageTooLarge
    │   ├── ProtocolUnsupported
    │   └── CauseUnknown             a word for missing evidence that this release does not have
    ├── AuthenticationError          the caller has not proved to be an agent on a live node
    │   ├── TokenMissing
    │   ├── TokenRejected            malformed, expired, forged, or for another audience
    │   ├── NotTheAgent              a valid identity, but not the agent's
    │   ├── NodeUnknown              its Node is gone or was re-created
    │   └── PodUnknown               its Pod is gone, ending, or not our DaemonSet's
    ├── Overloaded                   nothing is wrong; come again later
    │   └── EndorsementsUnavailable  certificates that are not at hand are being fetched
    ├── BundleMalformed              a bundle of endorsements that cannot be read
    └── PolicyInvalid                a policy or reference value set that cannot be read
"""

from __future__ import annotations

from typing import ClassVar


def printable(text: str) -> str:
    """Return a text with escapes for what a terminal would obey: control and invisible characters.

    Names in certificates and boot IDs are whatever somebody wrote; they end up in objects, Events
    and logs.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


class NodeproofError(Exception):
    """Base of all errors of nodeproof; its texts are made printable.

    Attributes:
        message: One sentence on what is wrong, without data that only a log should hold.
        expected: What would have been accepted; empty if there is nothing to compare.
        observed: What was seen instead; never a token or a private key.
    """

    reason: ClassVar[str] = "NodeproofError"

    def __init__(self, message: str, *, expected: str = "", observed: str = "") -> None:
        super().__init__(message)
        self.message = printable(message)
        self.expected = printable(expected)
        self.observed = printable(observed)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.reason = cls.__name__

    def __str__(self) -> str:
        facts = [
            f"{word} {value}"
            for word, value in (("expected", self.expected), ("observed", self.observed))
            if value
        ]
        return f"{self.message} ({', '.join(facts)})" if facts else self.message


class VerificationError(NodeproofError):
    """Evidence that is not shown to be genuine."""


class ReportMalformed(VerificationError):
    """A report of the wrong size, with reserved bytes set or a field out of its range."""


class ReportVersionUnsupported(VerificationError):
    """A report layout that this release does not know."""


class ProductUnknown(VerificationError):
    """No AMD product known to this release makes such a report."""


class CertificateMalformed(VerificationError):
    """A certificate, or a table of certificates, that cannot be read."""


class EndorsementsMissing(VerificationError):
    """No usable VEK, intermediate or root certificate is at hand: neither genuine nor refused."""


class RootUntrusted(VerificationError):
    """A chain that ends in a key which is not pinned."""


class ChainInvalid(VerificationError):
    """A certificate that breaks its profile or its dates, or that its issuer did not sign."""


class EndorsementMismatch(VerificationError):
    """A VEK that was issued for another chip, product or firmware than the report names."""


class SignatureInvalid(VerificationError):
    """A report that the VEK did not sign."""


class SignerRevoked(VerificationError):
    """A chain with an intermediate or a root that is on AMD's revocation list."""


class RevocationUnknown(VerificationError):
    """No usable revocation list is at hand, though one is required: neither genuine nor refused."""


class ReportDataMismatch(VerificationError):
    """A genuine report that does not answer the challenge it came with."""


class ChallengeError(NodeproofError):
    """A challenge that cannot be accepted back."""


class ChallengeMalformed(ChallengeError):
    """Bytes that are not a challenge."""


class ChallengeForged(ChallengeError):
    """A challenge that no key of this cluster's operator has signed."""


class ChallengeExpired(ChallengeError):
    """A challenge whose life is over or has not begun."""


class ChallengeSuperseded(ChallengeError):
    """A challenge older than the evidence that has been accepted since."""


class IdentityMismatch(ChallengeError):
    """A challenge that was given to another node, pod, token or cluster."""


class MessageError(NodeproofError):
    """An HTTP body that does not follow the protocol."""


class MessageMalformed(MessageError):
    """A body that cannot be decoded into its message."""


class MessageTooLarge(MessageError):
    """A body above the limit of its message."""


class ProtocolUnsupported(MessageError):
    """A protocol version that this operator does not serve."""


class CauseUnknown(MessageError):
    """A word for why there is no evidence that this operator does not have; a newer agent's."""


class AuthenticationError(NodeproofError):
    """A caller that has not proved to be an agent on a live node."""


class TokenMissing(AuthenticationError):
    """A request without a bearer token."""


class TokenRejected(AuthenticationError):
    """A token that is malformed, expired, forged, or meant for another audience."""


class NotTheAgent(AuthenticationError):
    """A valid identity that is not the agent's."""


class NodeUnknown(AuthenticationError):
    """An identity whose Node is gone or was re-created."""


class PodUnknown(AuthenticationError):
    """An identity whose Pod is gone, ending, elsewhere, or not of the agent's DaemonSet."""


class Overloaded(NodeproofError):
    """Nothing is wrong with the request; the caller should come again later.

    Attributes:
        retry_after_seconds: When to come again, for the ``Retry-After`` header.
    """

    def __init__(
        self, message: str, *, retry_after_seconds: int, expected: str = "", observed: str = ""
    ) -> None:
        super().__init__(message, expected=expected, observed=observed)
        self.retry_after_seconds = retry_after_seconds


class EndorsementsUnavailable(Overloaded):
    """Evidence that cannot be judged yet: AMD's certificates for it are not at hand."""


class BundleMalformed(NodeproofError):
    """A bundle of endorsements that cannot be read, or that holds something else."""


class PolicyInvalid(NodeproofError):
    """An AttestationPolicy or ReferenceValueSet that cannot be read."""
