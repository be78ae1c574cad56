"""Proof that a tool is what its card says: `mmagent tools check`, and one line in a tool's own test.

    assert not [str(finding) for finding in check(sonify) if finding.status == "fail"]

A tool is called directly, without a graph or an engine, on small generated inputs (`samples`). It knows nothing
of shelves; `load_file` turns a path into tools.
"""

from mmagent.conformance.check import CHECKS, Finding, check
from mmagent.conformance.files import load_file
from mmagent.conformance.samples import sample

__all__ = ["CHECKS", "Finding", "check", "load_file", "sample"]
