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
.mqs-more{flex:3 1 640px;min-width:0;max-width:900px}
.mqs-less{flex:2 1 480px;min-width:0;max-width:900px}
.mqs-stepper .mqs-more{flex:1 1 700px}
.mqs-stepper .mqs-less{flex:1 1 600px}
.mqs-steady{min-height:400px}
.mqs-caption{margin:0 0 6px;font-size:13px}
.mqs.mqs table{border-collapse:collapse;font-size:12px;margin:0;border:0;table-layout:auto}
.mqs.mqs caption{text-align:left;padding:0 0 4px;font-size:13px;color:inherit;caption-side:top}
.mqs.mqs th,.mqs.mqs td{text-align:left;padding:1px 12px 1px 6px;vertical-align:top;white-space:normal;
border:0;border-bottom:1px solid var(--jp-border-color2,#8886);max-width:none}
.mqs.mqs tr{background:none}
.mqs.mqs th{font-weight:600;white-space:nowrap;border-bottom:1.5px solid var(--jp-border-color1,#8889)}
.mqs.mqs .mqs-n{text-align:right;font-variant-numeric:tabular-nums}
.mqs.mqs .mqs-c{font-family:var(--jp-code-font-family,ui-monospace,monospace);overflow-wrap:anywhere}
.mqs.mqs .mqs-w{white-space:nowrap}
.mqs.mqs .mqs-v{min-width:240px}
.mqs .mqs-part{padding-left:18px}
.mqs .mqs-faint{color:var(--jp-content-font-color2,inherit)}
</style>"""
"""Goes in front of each piece of HTML: a page without JupyterLab has it too, and twice does no harm.
The doubled class outweighs JupyterLab's own rules for tables."""


def text(value: object) -> str:
    """Any value as HTML text: on one line, escaped, also where an attacker chose it."""
    return escape(printable(str(value)), quote=True)


def block(*parts: str, kind: str = "") -> str:
    """A piece of HTML with the style sheet; `kind` is a further class of it."""
    return f'{STYLE}<div class="{f"mqs {kind}".strip()}">{"".join(parts)}</div>'


def columns(first: str, second: str, *, more: int = 1, steady: int = 0) -> str:
    """Two pieces side by side, the `more`-th with more room; one below the other where the page is narrow.

    `steady` pixels are kept for the first piece, so that what stands below does not jump.
    """
    kinds = ("mqs-more", "mqs-less") if more == 1 else ("mqs-less", "mqs-more")
    room = f' mqs-steady" style="min-height:{steady}px"' if steady else '"'
    return (
        f'<div class="mqs-columns"><div class="{kinds[0]}{room}>{first}</div>'
        f'<div class="{kinds[1]}">{second}</div></div>'
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
