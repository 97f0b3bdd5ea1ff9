"""What a package or project that is encrypted as a whole needs before it can be read (ProtectionLevel)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_smtp_cm.ssis.reading.safe_xml import NotReadableError

if TYPE_CHECKING:
    from airflow_smtp_cm.ssis.reading.safe_xml import Element


def refuse_encrypted(root: Element) -> None:
    """Refuse a file that is encrypted from its root on.

    Raises:
        NotReadableError: it is; what to do depends on whether by a password or by the key of a Windows user.
    """
    if root.name != "EncryptedData":
        return
    # Only a key that is made from a password needs a salt; Windows keeps a user's key.
    if "Salt" in root.attributes:
        raise NotReadableError(
            "All of it is encrypted with a password (ProtectionLevel EncryptAllWithPassword).",
            "Open it in Visual Studio with its password and save it with ProtectionLevel DontSaveSensitive, or run: "
            "dtutil /FILE encrypted.dtsx /DECRYPT password /ENCRYPT FILE;readable.dtsx;0",
        )
    raise NotReadableError(
        "All of it is encrypted with the key of the Windows user who saved it "
        "(ProtectionLevel EncryptAllWithUserKey).",
        "As that user, on that computer, open it in Visual Studio and save it with ProtectionLevel "
        "DontSaveSensitive, or run: dtutil /FILE encrypted.dtsx /ENCRYPT FILE;readable.dtsx;0",
    )
