"""Hooks of MkDocs: adds the pages that are made from the code, so that none of them can be out of date."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parents[1]))

from docs.pages import pages

_OUTSIDE = re.compile(r"\]\((?:\.\./)+(?P<path>(?:plugins/(?P<plugin>[a-z]+)|sdk|)/?README\.md)(?P<anchor>#[^)]*)?\)")


def on_files(files: Files, config: Any, **_: Any) -> Files:
    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links of a page to a README of the repository lead to the site's page of it."""
    up = "../" * page.file.src_uri.count("/")

    def led(match: re.Match[str]) -> str:
        if match["plugin"]:
            return f"]({up}connectors/{match['plugin']}.md)"
        return f"]({up}writing-a-connector.md)" if "sdk" in match["path"] else f"]({up}index.md)"

    return _OUTSIDE.sub(led, markdown)
