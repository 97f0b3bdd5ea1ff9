"""A picture, and the Content-IDs that HTML names."""

import re
from urllib.parse import unquote

from airflow_smtp_cm.mail import Attachment

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def png(name="sales.png", content=PNG, **fields):
    return Attachment(content, name, **fields)


def references(html):
    return [f"<{unquote(found)}>" for found in re.findall(r"cid:([^\"'\s)]+)", html)]
