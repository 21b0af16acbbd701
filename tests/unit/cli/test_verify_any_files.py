"""Whatever the files hold, the command answers: 0, 1 or 2, and never a traceback."""

from __future__ import annotations

import json
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import simulated
from nodeproof.sevsnp.simulator import SimulatedMachine
from nodeproof_cli.__main__ import main
from nodeproof_cli.wording import printable

QUIET = settings(deadline=None, max_examples=100)

LABELS = ["CERTIFICATE", "X509 CERTIFICATE", "X509 CRL", "PRIVATE KEY"]

garbage = st.one_of(
    st.binary(max_size=2000),
    st.binary(max_size=300).map(lambda data: b"\x30\x82" + data),
    st.tuples(st.sampled_from(LABELS), st.binary(max_size=300)).map(
        lambda pair: (
            b"-----BEGIN %b-----\n%b\n-----END %b-----\n"
            % (pair[0].encode(), pair[1], pair[0].encode())
        )
    ),
)
changes = st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 255)), min_size=1, max_size=3)


@cache
def machine() -> SimulatedMachine:
    return simulated.machine()


@cache
def genuine() -> bytes:
    return machine().attest(bytes(64))


def changed(data: bytes, offsets: list[tuple[int, int]]) -> bytes:
    result = bytearray(data)
    for offset, value in offsets:
        result[offset % len(data)] = value
    return bytes(result)


def answer(report: bytes, files: list[bytes], crl: bytes | None = None) -> int:
    """Return the exit code; standard output must be one JSON object, or nothing under code 2."""
    with TemporaryDirectory() as folder, redirect_stdout(StringIO()) as out:
        certs = Path(folder, "certs")
        certs.mkdir()
        for number, data in enumerate(files):
            Path(certs, str(number)).write_bytes(data)
        Path(folder, "report").write_bytes(report)
        arguments = ["verify", "--report", f"{folder}/report", "--certs", str(certs)]
        if crl is not None:
            Path(folder, "crl").write_bytes(crl)
            arguments += ["--crl", f"{folder}/crl"]
        code = run([*arguments, "--output", "json"])
        assert run(arguments) == code
    text = out.getvalue()
    assert text.isascii()
    found, end = json.JSONDecoder().raw_decode(text)
    assert (found["outcome"] == "genuine") == (code == 0)
    assert text[end:].lstrip().startswith(found["outcome"].upper())
    return code


def run(arguments: list[str]) -> int:
    return main(arguments, anchors=[simulated.authority().anchor()], clock=lambda: simulated.NOW)


@QUIET
@given(report=garbage, files=st.lists(garbage, max_size=3), crl=st.none() | garbage)
def test_any_files(report: bytes, files: list[bytes], crl: bytes | None) -> None:
    assert answer(report, files, crl) == 1


@QUIET
@given(files=st.lists(garbage, max_size=3))
def test_any_files_beside_the_certificates(files: list[bytes]) -> None:
    assert answer(genuine(), [*files, *machine().processor.certificates]) == 0


@QUIET
@given(which=st.integers(0, 3), offsets=changes)
def test_any_change_of_one_file(which: int, offsets: list[tuple[int, int]]) -> None:
    files = [genuine(), *machine().processor.certificates]
    before = files[which]
    files[which] = changed(before, offsets)
    assert answer(files[0], files[1:]) == (files[which] != before)


@QUIET
@given(offsets=changes)
def test_any_change_of_a_revocation_list(offsets: list[tuple[int, int]]) -> None:
    crl = simulated.authority().issue_crl(simulated.NOW)
    spoilt = changed(crl, offsets)
    assert answer(genuine(), list(machine().processor.certificates), spoilt) == (spoilt != crl)


@QUIET
@given(st.lists(st.text(st.characters(exclude_characters="\0"), max_size=20), max_size=6))
def test_any_arguments(arguments: list[str]) -> None:
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        try:
            code = main(["verify", *arguments])
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else -1
    assert code in {0, 2}


@given(st.text())
def test_any_text_can_be_printed(text: str) -> None:
    assert printable(text).isascii()
    assert printable(text).isprintable()
