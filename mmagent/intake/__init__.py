"""The one guarded door for bytes: a path, bytes, data URI or allowed URL comes in, within limits.

It knows file formats, arrays and limits; it does not know media classes. A file per modality reads and writes
its formats; everything refused is an IntakeError that names the source, the limit and the fix.
"""

from __future__ import annotations

from mmagent.intake.disk import write_atomic
from mmagent.intake.inside import inside
from mmagent.intake.kinds import sniff
from mmagent.intake.limits import Limits
from mmagent.intake.source import Source, read

__all__ = ["Limits", "Source", "inside", "read", "sniff", "write_atomic"]
