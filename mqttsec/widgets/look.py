"""The look that all widgets share: one small style sheet, and helpers to write safe HTML.

Colours come from the page (JupyterLab's variables, else the page's own), so that light and dark
themes both work; sizes are in `em`, so that a reader's font size counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from mqttsec.trace.labels import printable

STYLE = """<style>
.mqs{line-height:1.45;font-size:13px;color:var(--jp-content-font-color1,inherit);
font-family:var(--jp-ui-font-family,system-ui,sans-serif)}
.mqs-columns{display:flex;flex-wrap:wrap;gap:12px 28px;align-items:flex-start}
.mqs-picture{flex:3 1 620px;min-width:0;max-width:960px}
.mqs-details{flex:2 1 470px;min-width:0;max-width:960px}
.mqs-caption{margin:0 0 6px;font-size:13px}
.mqs table{border-collapse:collapse;font-size:12px;margin:0;border:0;table-layout:auto}
.mqs caption{text-align:left;padding:0 0 4px;font-size:13px;color:inherit;caption-side:top}
.mqs th,.mqs td{text-align:left;padding:2px 12px 2px 6px;vertical-align:top;white-space:normal;
border:0;border-bottom:1px solid var(--jp-border-color2,#8886);max-width:none;background:none}
.mqs th{font-weight:600;border-bottom:1.5px solid var(--jp-border-color1,#8889)}
.mqs .mqs-n{text-align:right;font-variant-numeric:tabular-nums}
.mqs .mqs-c{font-family:var(--jp-code-font-family,ui-monospace,monospace);overflow-wrap:anywhere}
.mqs .mqs-part{padding-left:22px}
.mqs .mqs-faint{color:var(--jp-content-font-color2,inherit)}
.mqs .mqs-bar{display:block;height:9px;border:1px solid currentColor;box-sizing:border-box}
</style>"""
"""Goes in front of each piece of HTML: a page without JupyterLab has it too, and twice does no harm."""


def text(value: object) -> str:
    """Any value as HTML text: on one line, escaped, also where an attacker chose it."""
    return escape(printable(str(value)), quote=True)


def block(*parts: str) -> str:
    """A piece of HTML with the style sheet."""
    return f'{STYLE}<div class="mqs">{"".join(parts)}</div>'


def columns(picture: str, details: str) -> str:
    """The picture, and details beside it; below it where the page is narrow."""
    return (
        f'<div class="mqs-columns"><div class="mqs-picture">{picture}</div>'
        f'<div class="mqs-details">{details}</div></div>'
    )


def html_table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], classes: Sequence[str], caption: str = ""
) -> str:
    """A table from cells that are HTML already; `classes` are those of each column's cells."""
    title = f"<caption>{caption}</caption>" if caption else ""
    head = "".join(
        f'<th scope="col" class="{kind}">{name}</th>' for name, kind in zip(heads, classes, strict=True)
    )
    body = ""
    for row in rows:
        line = (f'<td class="{kind}">{cell}</td>' for cell, kind in zip(row, classes, strict=True))
        body += f"<tr>{''.join(line)}</tr>"
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def standalone(svg: str) -> str:
    """A picture for a page that has no theme to inherit: on white where the page says nothing else."""
    return svg.replace('style="', 'style="background:var(--jp-layout-color0,white);', 1)
