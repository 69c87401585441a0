"""What `make docs` adds to the pages in docs/: hooks of MkDocs, which mkdocs.yml names."""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from cellwright.language import cell_names
from gallery.links import problems
from gallery.pictures import inlined
from gallery.readme import relocated
from gallery.site import Site
from gallery.source import fence


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fences of cells are drawn, and the navigation has what is made."""
    config.theme.static_templates.clear()  # for servers; links from disk are relative
    config.mdx_configs["pymdownx.superfences"] = {
        "custom_fences": [{"name": "cell", "class": "cell", "format": fence}]
    }
    made = _site(config).nav()
    assert config.nav
    config.nav = [
        {title: made.get(title, pages) for title, pages in entry.items()} for entry in config.nav
    ]
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Adds the pages that are made."""
    for address, text in _site(config).files():
        files.append(File.generated(config, address, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """What a page in docs/ refers to in the repository, the site has as well. A page that is a
    part by itself needs no list of the pages in it."""
    if page.parent is None:
        page.meta.setdefault("hide", ["navigation"])
    return markdown if page.file.generated_by else relocated(markdown, above="../")


def on_page_content(html: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Diagrams become parts of the page, so that they have its colours, and tooltips."""
    return inlined(html, Path(config.docs_dir, page.file.src_uri).parent)


def on_post_build(*, config: MkDocsConfig) -> None:
    """Raises where a page has a link that leads nowhere, no picture, or needs a network."""
    if found := problems(Path(config.site_dir)):
        raise PluginError("\n".join(["the site is not as it has to be:", *found]))


def _site(config: MkDocsConfig) -> Site:
    return Site(Path(config.config_file_path).parent, cell_names())
