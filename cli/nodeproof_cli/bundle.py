"""``nodeproof bundle``: endorsements in one file, for clusters that cannot reach AMD."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from enum import StrEnum

from nodeproof.sevsnp.bundle import MAX_BUNDLE_SIZE, Bundle, config_maps, decode, encode
from nodeproof.sevsnp.products import Product
from nodeproof_cli.exporting import export, fetch_missing
from nodeproof_cli.gathering import gather
from nodeproof_cli.holding import Holding
from nodeproof_cli.network import add_fetching, address_of, check_fetching, path
from nodeproof_cli.reading import read_bounded
from nodeproof_cli.showing import as_json, as_table, complaint, look_at
from nodeproof_cli.surroundings import Commands, Surroundings, tell
from nodeproof_cli.wording import printable

DONE, LACKING = 0, 1
"""Exit codes: all is there and verifies, or something does not."""

NAMESPACE = "nodeproof-system"
"""Where the operator is installed unless an admin chooses another place."""

_DESCRIPTION = """\
Carry AMD's certificates and revocation lists to a cluster that cannot reach AMD's key service: in
one file, whose every entry is verified against AMD's root keys when it is made, shown and imported,
and once more by the operator whenever it is used. A bundle holds no secret, and whoever carries it
need not be trusted.
"""

_AIR_GAP = """\
example, across an air gap:
  in the cluster      kubectl get nodeattestations -o json > nodes.json
  on the outside      nodeproof bundle export --from nodes.json --product Milan --fetch \\
                          --output milan.bundle
  wherever you like   nodeproof bundle show milan.bundle
  in the cluster      nodeproof bundle import milan.bundle | kubectl apply -f -

nodes.json names the chains and VCEKs that nodes wait for. Make a new bundle before the revocation
list in it ends (bundle show: UNTIL), and whenever firmware was updated: each VCEK is for one chip
at one TCB version.
"""

_EXPORT_EPILOG = """\
exit codes:
  0  written, and nothing is missing
  1  written, but something that was asked for is missing; standard error says what
  2  wrong usage, or a file that cannot be read

examples:
  nodeproof bundle export --from nodes.json --fetch --output fleet.bundle
  nodeproof bundle export --from report.bin certificates/ --output one-node.bundle
  nodeproof bundle export --product Genoa --product Turin --fetch --output lists.bundle
"""

_SHOW_EPILOG = """\
exit codes:
  0  everything verifies
  1  something does not
  2  wrong usage, or this is not a bundle

example:
  nodeproof bundle show fleet.bundle
"""

_IMPORT_EPILOG = """\
exit codes:
  0  printed
  1  refused: something in it does not verify, so nothing is printed
  2  wrong usage, or this is not a bundle

example:
  nodeproof bundle import fleet.bundle | kubectl apply -f -
  kubectl -n nodeproof-system delete configmaps -l nodeproof.dev/bundle=IDENTITY
The identity is on the first line of bundle show. The operator reads them within half a minute.
"""

_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class Output(StrEnum):
    """How a bundle is shown."""

    TEXT = "text"
    JSON = "json"


def add_parser(commands: Commands) -> None:
    """Add ``bundle`` to the commands."""
    parser = _subparser(
        commands, "bundle", "carry AMD's certificates and lists across an air gap", _AIR_GAP
    )
    parser.description = _DESCRIPTION
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    _add_export(actions)
    _add_show(actions)
    _add_import(actions)


def run_export(options: argparse.Namespace, surroundings: Surroundings) -> tuple[int, str]:
    """Write a bundle; return the exit code and what is to be printed.

    Raises:
        OSError: A file cannot be read or written.
        SystemExit: The options do not go together.
        Unusable: A file is none of those that are known, or the network cannot be used at all.
        BundleMalformed: It would be too large.
    """
    check_fetching(options)
    if not options.sources and not options.products:
        options.fail("--from or --product is needed")
    gathered, now = gather(options.sources), surroundings.clock()
    holding = Holding(
        gathered.certificates.values(), gathered.crls, surroundings.anchors, now, crls_at=now
    )
    if options.fetch:
        address = address_of(options)
        asyncio.run(fetch_missing(gathered, options.products, holding, address, surroundings))
    exported = export(gathered, options.products, holding, surroundings)
    options.output.write_bytes(encode(exported.bundle))
    for missing in exported.missing:
        tell(missing)
    return LACKING if exported.missing else DONE, _summary(exported.bundle)


def run_show(options: argparse.Namespace, surroundings: Surroundings) -> tuple[int, str]:
    """Return the exit code and what is to be printed of a bundle.

    Raises:
        OSError: The file cannot be read.
        BundleMalformed: It is no bundle.
    """
    bundle = decode(read_bounded(options.file, MAX_BUNDLE_SIZE))
    rows = look_at(bundle, surroundings.anchors, surroundings.clock())
    if options.output is Output.JSON:
        answer = json.dumps(as_json(bundle, rows), indent=2) + "\n"
    else:
        answer = "".join(f"{printable(line)}\n" for line in as_table(bundle, rows).splitlines())
    return LACKING if any(row.error for row in rows) else DONE, answer


def run_import(options: argparse.Namespace, surroundings: Surroundings) -> tuple[int, str]:
    """Return the exit code and the ConfigMaps of a bundle, one JSON list; none if one is refused.

    Raises:
        OSError: The file cannot be read.
        BundleMalformed: It is no bundle.
    """
    bundle = decode(read_bounded(options.file, MAX_BUNDLE_SIZE))
    rows = look_at(bundle, surroundings.anchors, surroundings.clock())
    refused = [row for row in rows if row.error]
    for row in refused:
        tell(f"refused: {complaint(row)}")
    if refused:
        return LACKING, ""
    items = config_maps(bundle, options.namespace)
    return DONE, json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=1) + "\n"


def _summary(bundle: Bundle) -> str:
    counts = (len(bundle.certificates), len(bundle.crls))
    return "bundle {}: {} certificates, {} revocation lists\n".format(bundle.identity, *counts)


def _subparser(
    commands: Commands, name: str, help_text: str, epilog: str
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=help_text,
        description=f"{help_text[0].upper()}{help_text[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_export(actions: Commands) -> None:
    parser = _subparser(
        actions,
        "export",
        "make a bundle of certificates and lists that verify, from files and from AMD",
        _EXPORT_EPILOG,
    )
    parser.add_argument(
        "--from",
        dest="sources",
        type=path,
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help="output of kubectl get nodeattestations -o json, a report, a certificate or list, or "
        "a folder of certificates and lists",
    )
    parser.add_argument(
        "--product",
        dest="products",
        type=Product,
        choices=tuple(Product),
        action="append",
        default=[],
        metavar="|".join(Product),
        help="also chains and revocation lists of this product; may be repeated",
    )
    add_fetching(
        parser,
        "ask AMD's key service for VCEKs and chains that are missing, and for the newest lists; a "
        "VCEK takes ten seconds, since AMD answers no faster",
    )
    parser.add_argument("--output", type=path, required=True, metavar="FILE", help="the bundle")
    parser.set_defaults(run=run_export, fail=parser.error)


def _add_show(actions: Commands) -> None:
    parser = _subparser(actions, "show", "show what is in a bundle and verify it", _SHOW_EPILOG)
    parser.add_argument("file", type=path, metavar="FILE", help="the bundle")
    parser.add_argument(
        "--output",
        type=Output,
        choices=tuple(Output),
        default=Output.TEXT,
        metavar="|".join(Output),
        help="default: %(default)s",
    )
    parser.set_defaults(run=run_show)


def _add_import(actions: Commands) -> None:
    parser = _subparser(
        actions, "import", "print a bundle as ConfigMaps that the operator reads", _IMPORT_EPILOG
    )
    parser.add_argument("file", type=path, metavar="FILE", help="the bundle")
    parser.add_argument(
        "--namespace",
        type=_namespace,
        default=NAMESPACE,
        help="where the operator is installed (default: %(default)s)",
    )
    parser.set_defaults(run=run_import)


def _namespace(text: str) -> str:
    if not _NAMESPACE.fullmatch(text):
        raise argparse.ArgumentTypeError("expected the name of a namespace")
    return text
