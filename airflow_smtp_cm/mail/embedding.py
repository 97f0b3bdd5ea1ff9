"""Images that HTML names by their paths: each becomes an attachment that the HTML names as ``cid:``."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from airflow_smtp_cm.characters.control import visible
from airflow_smtp_cm.mail.attachments import Attachment
from airflow_smtp_cm.mail.errors import InvalidAttachment
from airflow_smtp_cm.mail.html_references import replace_image_sources
from airflow_smtp_cm.problems import Problems

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:|//")  # one letter before the colon is a drive of Windows


def embed_images(html: str) -> tuple[str, tuple[Attachment, ...]]:
    """Return HTML and the images in it: the ``src`` of each ``<img>`` that is a path names an attachment.

    Paths are those of attachments: relative to the working directory of the process. A path may be percent-encoded.
    A ``src`` that is a URL stays, ``data:`` and ``cid:`` among them.

    Args:
        html: the HTML.

    Raises:
        InvalidAttachment: lists every ``src`` that names no file, an empty one, or one that is not an image by its
            name: HTML must not be able to attach any file of the worker.
    """
    problems = Problems()
    images: dict[str, Attachment] = {}

    def embed(source: str) -> str:
        if _URL.match(source):
            return source
        if source not in images:
            image = problems.attempt(
                _image, source, f"{len(images) + 1}.embedded", field=f'<img src="{visible(source)}">'
            )
            if image is None:
                return source
            images[source] = image
        return f"cid:{images[source].content_id}"

    html = replace_image_sources(html, embed)
    Problems(dict.fromkeys(problems)).raise_as(InvalidAttachment)  # each once
    return html, tuple(images.values())


def _image(source: str, content_id: str) -> Attachment:
    if not source:
        raise InvalidAttachment("It names no file.")
    try:
        image = Attachment(Path(source), content_id=content_id)
    except InvalidAttachment:
        if (decoded := unquote(source)) == source:
            raise
        image = Attachment(Path(decoded), content_id=content_id)
    if not image.media_type.startswith("image/"):
        raise InvalidAttachment(f"By its name it is not an image, but {image.media_type}. Only images are embedded.")
    if not image.size:
        raise InvalidAttachment("The file is empty (0 bytes).")
    return image
