"""Rejects packages and projects that are encrypted as a whole (ProtectionLevel)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_smtp_cm.ssis.reading.safe_xml import NotReadableError

if TYPE_CHECKING:
    from airflow_smtp_cm.ssis.reading.safe_xml import Element


def reject_encrypted(root: Element) -> None:
    """Reject a file whose root element is encrypted.

    Raises:
        NotReadableError: it is encrypted, with a password or with the key of a Windows user.
    """
    if root.name != "EncryptedData":
        return
    # Only a key derived from a password has a salt; Windows stores a user's key.
    if "Salt" in root.attributes:
        raise NotReadableError(
            "The whole file is encrypted with a password (ProtectionLevel EncryptAllWithPassword).",
            "Open it in Visual Studio with its password and save it with ProtectionLevel DontSaveSensitive, or run: "
            "dtutil /FILE encrypted.dtsx /DECRYPT password /ENCRYPT FILE;readable.dtsx;0",
        )
    raise NotReadableError(
        "The whole file is encrypted with the key of the Windows user who saved it "
        "(ProtectionLevel EncryptAllWithUserKey).",
        "As that user, on that computer, open it in Visual Studio and save it with ProtectionLevel "
        "DontSaveSensitive, or run: dtutil /FILE encrypted.dtsx /ENCRYPT FILE;readable.dtsx;0",
    )
