"""``--fetch``: the options about AMD's key service, and the only door to the network.

The client and its library are loaded when somebody asks for the network, and not before.
"""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from nodeproof.sevsnp.kds import BASE_URL
from nodeproof_cli.surroundings import KDS, KDSAddress, Unusable
from nodeproof_operator.endorsements.errors import KDSError

_ONLY_WITH_FETCH = ("kds_url", "kds_ca_file", "kds_proxy")


def add_fetching(parser: argparse.ArgumentParser, help_text: str) -> Callable[..., object]:
    """Add ``--fetch`` and what goes with it; return what adds more of that kind."""
    group = parser.add_argument_group("network", "without --fetch, no connection is opened")
    group.add_argument("--fetch", action="store_true", help=help_text)
    group.add_argument(
        "--kds-url",
        type=_service,
        metavar="URL",
        help=f"a mirror of AMD's key service, https (default: {BASE_URL})",
    )
    group.add_argument(
        "--kds-ca-file",
        type=path,
        metavar="FILE",
        help="CA certificates, PEM, to recognise the service by, instead of the system's",
    )
    group.add_argument(
        "--kds-proxy",
        type=_proxy,
        metavar="URL",
        help="HTTP proxy to go through; those of the environment are not used",
    )
    return group.add_argument


def check_fetching(options: argparse.Namespace, *also: str) -> None:
    """Check that nothing is said about the network where it is not to be used.

    Raises:
        SystemExit: Something is.
    """
    for name in (*_ONLY_WITH_FETCH, *also):
        if getattr(options, name) is not None and not options.fetch:
            options.fail(f"--{name.replace('_', '-')} says something only together with --fetch")


def address_of(options: argparse.Namespace) -> KDSAddress:
    """Return which key service the options name."""
    return KDSAddress(options.kds_url or BASE_URL, options.kds_ca_file, options.kds_proxy)


@asynccontextmanager
async def connect(address: KDSAddress) -> AsyncIterator[KDS]:
    """Open the client of a key service; nothing is sent yet.

    Raises:
        Unusable: aiohttp is not installed, or the CA file cannot be used.
    """
    try:
        from nodeproof_operator.endorsements.kds import KDSClient  # noqa: PLC0415 - see the module
    except ModuleNotFoundError as error:
        raise Unusable(
            f"--fetch needs the Python package {error.name}, which is not installed: "
            "pip install 'nodeproof[operator]'"
        ) from error
    client = KDSClient(address.url, ca_file=address.ca_file, proxy=address.proxy)
    try:
        await client.__aenter__()
    except KDSError as error:
        raise Unusable(str(error)) from error
    try:
        yield client
    finally:
        await client.__aexit__(None, None, None)


def path(text: str) -> Path:
    """Return the path that an argument names.

    Raises:
        argparse.ArgumentTypeError: It names none.
    """
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError("expected a path")
    return Path(text)


def _service(text: str) -> str:
    url = _split(text)
    plain = url is not None and not (url.query or url.fragment or url.username or url.password)
    if url is None or url.scheme != "https" or not plain:
        raise argparse.ArgumentTypeError("expected https://HOST[:PORT][/PATH]")
    return text


def _proxy(text: str) -> str:
    url = _split(text)
    if url is None or url.scheme not in {"http", "https"} or url.path.strip("/") or url.query:
        # Without the text: it may hold a password.
        raise argparse.ArgumentTypeError("expected http://[USER:PASSWORD@]HOST[:PORT]")
    return text


def _split(text: str) -> SplitResult | None:
    """Return the parts of a URL with a host, None if there is none or it is not plain ASCII."""
    try:
        url = urlsplit(text)
        usable = bool(url.hostname) and url.port != 0
    except ValueError:
        return None
    return url if usable and text.isascii() and text.isprintable() and " " not in text else None
