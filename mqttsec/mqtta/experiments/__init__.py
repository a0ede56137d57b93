"""Section VIII of the MQTT-A paper measured again, on real brokers under the virtual clock.

measured = measure(plan(), seed=1)       # a DataFrame, one row a cell
statements(measured)                     # each printed statement beside our figure
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqttsec.on_demand import on_demand

if TYPE_CHECKING:
    from mqttsec.mqtta.experiments.cells import Cell as Cell
    from mqttsec.mqtta.experiments.cells import run_cell as run_cell
    from mqttsec.mqtta.experiments.statements import statements as statements
    from mqttsec.mqtta.experiments.sweep import measure as measure
    from mqttsec.mqtta.experiments.sweep import plan as plan

_HOME = {
    "Cell": "cells",
    "measure": "sweep",
    "plan": "sweep",
    "run_cell": "cells",
    "statements": "statements",
}

__all__ = sorted(_HOME)

__getattr__ = on_demand(__name__, _HOME)
