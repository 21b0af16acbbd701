"""Fuzz the verifier until a finding, or as long as libFuzzer's options say.

It needs atheris, which has wheels for Linux on x86-64 alone: elsewhere only the corpus is replayed.
"""

from __future__ import annotations

import sys

import atheris

# What is imported here is watched for coverage; watching all of the libraries takes half a minute.
with atheris.instrument_imports(include=["nodeproof"]):
    from fuzz_verify import judge  # type: ignore[import-not-found]  # run from its own folder

atheris.Setup(sys.argv, judge)
atheris.Fuzz()
