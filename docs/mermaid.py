"""Shows the Mermaid picture of a page as an SVG file: who reads the site fetches nothing from elsewhere.

The page has the text of the picture, which GitHub draws. The file has the name of the page and contains the text that
it was drawn from. After a change of the text, ``.venv/bin/python docs/mermaid.py`` draws it again. It needs npm and
Chromium; the build of the site needs neither.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.structure.pages import Page

_DOCS = Path(__file__).parent
_IMAGES = _DOCS / "images"
_MERMAID = "mermaid@12.3.0"
_BLOCK = re.compile(r"^```mermaid\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_TITLE = re.compile(r"^ *accTitle: (.+)$", re.MULTILINE)
# Labels are SVG, because an image cannot contain HTML everywhere. The picture has a size of its own.
_DRAW = """async text => {
    const flowchart = {htmlLabels: false, useMaxWidth: false}
    mermaid.initialize({startOnLoad: false, theme: "neutral", fontFamily: "sans-serif", htmlLabels: false, flowchart})
    return (await mermaid.render("picture", text)).svg
}"""


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Replace the text of the picture by the file (MkDocs calls this for each page)."""
    return with_picture(markdown, Path(page.file.src_uri).stem)


def with_picture(markdown: str, name: str) -> str:
    """Replace the text of the picture by the file of this name.

    Raises:
        ValueError: the file was drawn from another text.
    """
    return _BLOCK.sub(lambda block: _image(block[1], f"{name}.svg"), markdown)


def draw() -> None:
    """Draw the pictures of all pages."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - the build of the site does not need it

    with (
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"]) as browser,
    ):
        page = browser.new_page()
        page.add_script_tag(path=_mermaid(Path(folder)))
        for path in sorted(_DOCS.glob("*.md")):
            for block in _BLOCK.finditer(path.read_text()):
                svg = page.evaluate(_DRAW, block[1])
                (_IMAGES / f"{path.stem}.svg").write_text(svg.replace(">", f">{_metadata(block[1])}", 1))


def _image(text: str, file_name: str) -> str:
    if _metadata(text) not in (_IMAGES / file_name).read_text():
        raise ValueError(f"{file_name} was drawn from another text; .venv/bin/python docs/mermaid.py draws it again.")
    title = _TITLE.search(text)
    return f"![{title[1] if title else ''}](images/{file_name})"


def _metadata(text: str) -> str:
    return f"<metadata>{escape(text, quote=False)}</metadata>"


def _mermaid(folder: Path) -> Path:
    """Return Mermaid's script, from its npm package, which is unpacked in this folder."""
    command = ["npm", "pack", "--silent", "--pack-destination", str(folder), _MERMAID]
    package = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()  # noqa: S603 - constants
    shutil.unpack_archive(folder / package, folder, filter="data")
    return folder / "package" / "dist" / "mermaid.min.js"


if __name__ == "__main__":
    draw()
