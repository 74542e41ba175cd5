"""A pair that answers before its backup has heard: quick, always there, and forgetful.

Source: Budhiraja, Marzullo, Schneider and Toueg, "The Primary-Backup Approach" (1993); it is how
many databases replicate unless they are told otherwise.
"""

from __future__ import annotations

from clusterlab.protocols.primary_backup import PrimaryBackup


class AsynchronousPair(PrimaryBackup):
    """One of two servers: what the primary has counts, and the backup gets it when it can."""

    def safe_length(self) -> int:
        """Everything, whoever has it."""
        return len(self.log)
