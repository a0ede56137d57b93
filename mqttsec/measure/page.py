"""`mqttsec bench report`: what `mqttsec bench overhead --csv` has measured, as one page of HTML.

The page needs no network: plotly.js is in it, once. Without --csv it shows the run that is recorded in
`data/`, and so it says.
"""

from __future__ import annotations

import argparse
import html
import sys
from collections.abc import Sequence
from pathlib import Path

from mqttsec.errors import ConfigurationError
from mqttsec.measure.cost_model import Costs, measured_costs, recorded_costs
from mqttsec.measure.experiments import FLOOD, Row, read_csv
from mqttsec.measure.overhead_figures import (
    cost_figure,
    delay_figure,
    growth_figure,
    paper_figure,
    paper_means,
    primitive_figure,
    throughput_figure,
)
from mqttsec.measure.overhead_report import SINGLE_CIPHERTEXT, forwarding, ratios, tables
from mqttsec.measure.recorded import RUN, path_of

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Overhead of the schemes</title>
<style>body{{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:24px auto;padding:0 16px;
color:#1a1a1a;background:#fff}}pre{{overflow-x:auto;font-size:12px;line-height:1.35}}
figure{{margin:0 0 28px}}h2{{margin-top:40px}}</style>
<script>{script}</script></head><body>
<h1>What the four schemes cost</h1>
<p>{about}</p>
{figures}
<h2>Ratios and aims</h2><pre>{ratios}</pre>
<h2>All figures</h2><pre>{tables}</pre>
</body></html>
"""


def page(rows: Sequence[Row], costs: Costs, about: str) -> str:
    """The page. `about` says where the rows come from."""
    import plotly.io
    from plotly.offline import get_plotlyjs

    made = [cost_figure(rows), delay_figure(rows)]
    if any(row.experiment == FLOOD for row in rows):
        made.insert(1, throughput_figure(rows))
    sizes = sorted(
        {row.subscribers for row in rows if row.mode == SINGLE_CIPHERTEXT and row.suite == "paper"}
    )
    payload = max((row.payload_bytes for row in rows), default=1024)
    made += [paper_figure(rows, costs, size, payload) for size in sizes if paper_means(size)]
    if len(sizes) > 1:
        made += [growth_figure(rows), growth_figure(rows, "mean_us")]
    made.append(primitive_figure(costs))
    figures = "\n".join(
        f"<figure>{plotly.io.to_html(each, include_plotlyjs=False, full_html=False, div_id=f'plot-{place}')}"
        "</figure>"
        for place, each in enumerate(made)
    )
    return _PAGE.format(
        script=get_plotlyjs(),
        about=html.escape(about),
        figures=figures,
        ratios=html.escape(ratios(rows).strip()),
        tables=html.escape(tables(rows).strip()),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Write the page; returns the exit status.

    Raises `ConfigurationError` for a file that cannot be read or written.
    """
    parser = argparse.ArgumentParser(
        prog="mqttsec bench report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--csv", type=Path, metavar="PATH", help="rows of `mqttsec bench overhead --csv PATH`"
    )
    parser.add_argument("--out", type=Path, default=Path("overhead.html"), help="default: %(default)s")
    options = parser.parse_args(sys.argv[1:] if argv is None else argv)
    source = options.csv or path_of(RUN)
    try:
        with source.open(newline="") as file:
            rows = read_csv(file)
    except OSError as error:
        raise ConfigurationError(f"{source} cannot be read ({error.strerror})") from None
    if options.csv is None:
        costs = recorded_costs()
        about = "The run that is recorded with mqttsec, on the machine that docs/overhead.md describes."
    else:
        costs = measured_costs(("paper", "aes-gcm", "aes-gcm-gmac"))
        found = forwarding(rows, costs) or tuple(row for row in recorded_costs().rows if not row.suite)
        costs = Costs((*costs.rows, *found))
        about = f"Measured on this machine, kept in {options.csv.name}."
    try:
        options.out.write_text(page(rows, costs, about), encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{options.out} cannot be written ({error.strerror})") from None
    print(f"wrote {options.out} ({options.out.stat().st_size / 1e6:.1f} MB), from {source.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
