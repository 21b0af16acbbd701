"""The agent's settings: flags, each also by an environment variable."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from nodeproof.logs import FORMATS, LEVELS, Format

DEFAULT_METRICS_ADDRESS = "0.0.0.0:9464"
"""All addresses, for Prometheus comes from another node; nothing that is served is secret."""

MAX_PORT = 65535

AUTO = "auto"
CONFIGFS_TSM = "configfs-tsm"
SEV_GUEST = "sev-guest"
SIMULATED = "simulated"
PROVIDERS = (AUTO, CONFIGFS_TSM, SEV_GUEST, SIMULATED)
"""What ``--provider`` takes."""

DEFAULT_TSM_ROOT = "/sys/kernel/config/tsm/report"
"""Where configfs-tsm is, if configfs is mounted where it usually is (Linux, configfs-tsm ABI)."""

DEFAULT_SEV_GUEST_DEVICE = "/dev/sev-guest"
"""Where the driver makes its device (Linux, Documentation/virt/coco/sev-guest.rst)."""

_PLATFORM_FLAGS = frozenset(
    {"provider", "tsm-root", "sev-guest-device", "vmpl", "simulated-machine"}
)

MAX_VMPL = 3
"""The least privileged level (AMD 56860)."""

_DESCRIPTION = """\
Attest this node to the nodeproof operator, again and again.

The agent asks the operator for a challenge, gets a report over it from the platform and hands it
in; the operator says when to come again. Where the platform gives none it says why, and so does
'nodeproof-agent doctor', at more length. SIGHUP attests at once, SIGTERM stops."""

_EPILOG = """\
Every flag can be given as an environment variable: --operator-url as NODEPROOF_OPERATOR_URL, and
so on. A flag wins over its variable.

example:
  nodeproof-agent --operator-url https://nodeproof-operator.nodeproof-system.svc:8443 \\
    --token-file /var/run/secrets/nodeproof/token --ca-file /var/run/nodeproof/ca.crt

and where there is no SEV-SNP, to try nodeproof with evidence that proves nothing:
  nodeproof-agent ... --provider simulated --simulated-machine /var/lib/nodeproof/machine"""


@dataclass(frozen=True, slots=True)
class Hardware:
    """The machine's own platform, reached through the kernel.

    Attributes:
        provider: ``configfs-tsm``, ``sev-guest``, or ``auto`` for whichever there is.
        tsm_root: The directory of configfs-tsm.
        sev_guest_device: The driver's device.
        vmpl: The privilege level that reports are asked for at; None takes the kernel's own.
    """

    provider: str = AUTO
    tsm_root: Path = Path(DEFAULT_TSM_ROOT)
    sev_guest_device: Path = Path(DEFAULT_SEV_GUEST_DEVICE)
    vmpl: int | None = None


@dataclass(frozen=True, slots=True)
class Simulated:
    """The simulated platform, explicitly chosen; ``machine`` is its directory."""

    machine: Path


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; port 0 lets the system choose."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Settings:
    """What one agent is told.

    Attributes:
        operator_url: ``https://host[:port]``, no path.
        token_file: The projected ServiceAccount token, audience ``nodeproof``.
        ca_file: PEM certificates that the operator's certificate must end in.
        provider: Where reports come from; the simulated platform is never fallen into.
        metrics_address: Where metrics and health are served.
        log_format: As ``nodeproof.logs.configure`` takes it.
        log_level: The same.
    """

    operator_url: str
    token_file: Path
    ca_file: Path
    provider: Hardware | Simulated
    metrics_address: Address
    log_format: Format
    log_level: str


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Return the settings in flags and environment.

    Raises:
        SystemExit: 0 after ``--help``; 2 when they are refused, with the reason on stderr.
    """
    parser = _parser(environment)
    found = vars(parser.parse_args(arguments))
    return Settings(provider=take_platform(found, parser.error), **found)


def add_platform_flags(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    """Add the flags that say where reports come from, for the agent and its doctor alike."""
    for flag in _FLAGS:
        if flag.name in _PLATFORM_FLAGS:
            flag.add_to(parser, environment)


def take_platform(found: dict[str, Any], refuse: Callable[[str], NoReturn]) -> Hardware | Simulated:
    """Take what those flags say out of what was found; ``refuse`` what does not go together."""
    name, machine = found.pop("provider"), found.pop("simulated_machine")
    hardware = Hardware(
        name, found.pop("tsm_root"), found.pop("sev_guest_device"), found.pop("vmpl")
    )
    if (name == SIMULATED) != (machine is not None):
        refuse(
            "--provider simulated needs --simulated-machine, and nothing else does: simulated "
            "evidence proves nothing, so it takes both to choose it"
        )
    if machine is None:
        return hardware
    if hardware.vmpl is not None:
        refuse("--vmpl is for the machine's own platform; a simulated one has level 0")
    return Simulated(machine)


@dataclass(frozen=True, slots=True)
class _Flag:
    """A flag and, by its name, its environment variable."""

    name: str
    metavar: str
    read: Callable[[str], object]
    meaning: str
    default: str = ""
    optional: bool = False

    def add_to(self, parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
        variable = "NODEPROOF_" + self.name.replace("-", "_").upper()
        # An empty variable is an unset one. argparse reads defaults as it reads arguments.
        default = environment.get(variable) or self.default or None
        parser.add_argument(
            f"--{self.name}",
            type=self.read,
            metavar=self.metavar,
            help=self.meaning + (f" (default {self.default})" if self.default else ""),
            default=default,
            required=default is None and not self.optional,
        )


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nodeproof-agent",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for flag in _FLAGS:
        flag.add_to(parser, environment)
    return parser


def _operator_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        plain = parts.scheme == "https" and parts.hostname and parts.port != 0
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no URL: {error}") from error
    if not plain or "@" in parts.netloc or parts.path.strip("/") or parts.query or parts.fragment:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not https://HOST[:PORT]; the token must travel encrypted, and the paths "
            "are the protocol's"
        )
    return f"https://{parts.netloc}"


def _address(text: str) -> Address:
    host, separator, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (separator and host and port.isascii() and port.isdigit() and int(port) <= MAX_PORT):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not HOST:PORT, such as 0.0.0.0:9464 or [::]:9464"
        )
    return Address(host=host, port=int(port))


def _vmpl(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= MAX_VMPL):
        raise argparse.ArgumentTypeError(f"{text!r} is not a privilege level, 0 to {MAX_VMPL}")
    return int(text)


def _one_of(words: Sequence[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(words)}")
        return text

    return read


_FLAGS = (
    _Flag("operator-url", "https://HOST[:PORT]", _operator_url, "the operator's evidence service"),
    _Flag(
        "token-file",
        "FILE",
        Path,
        "this pod's projected ServiceAccount token, audience nodeproof; read for every round",
    ),
    _Flag(
        "ca-file",
        "FILE",
        Path,
        "PEM certificates to recognise the operator by; read for every round",
    ),
    _Flag(
        "provider",
        "NAME",
        _one_of(PROVIDERS),
        "where reports come from: configfs-tsm; sev-guest; auto, which takes the first of the two "
        "that is there, looking again each time; or simulated, a software platform that proves "
        "nothing",
        default=AUTO,
    ),
    _Flag(
        "tsm-root",
        "DIR",
        Path,
        "the directory tsm/report of configfs, wherever it is mounted",
        default=DEFAULT_TSM_ROOT,
    ),
    _Flag(
        "sev-guest-device",
        "FILE",
        Path,
        "the device of the sev-guest driver",
        default=DEFAULT_SEV_GUEST_DEVICE,
    ),
    _Flag(
        "vmpl",
        "N",
        _vmpl,
        "the privilege level to ask reports for, 0 to 3 (default: the one that the kernel runs at)",
        optional=True,
    ),
    _Flag(
        "simulated-machine",
        "DIR",
        Path,
        "a directory made by 'nodeproof-simulator machine'; only with --provider simulated",
        optional=True,
    ),
    _Flag(
        "metrics-address",
        "HOST:PORT",
        _address,
        "where /metrics and /healthz are served",
        default=DEFAULT_METRICS_ADDRESS,
    ),
    _Flag(
        "log-format",
        "|".join(FORMATS),
        _one_of(FORMATS),
        "auto writes text on a terminal and JSON elsewhere",
        default="auto",
    ),
    _Flag(
        "log-level",
        "|".join(LEVELS),
        _one_of(LEVELS),
        "the least severe level that is written",
        default="info",
    ),
)
