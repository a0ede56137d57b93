"""The trace of a run and its readers: views, tables, ladders, captures, files."""

from mqttsec.trace.arrows import Arrow, arrows
from mqttsec.trace.capture import capture, capture_addresses, write_capture
from mqttsec.trace.connections import Connection, connections, servers_of
from mqttsec.trace.events import Event, EventKind, Trace
from mqttsec.trace.labels import packet_label, packet_name
from mqttsec.trace.ladder import NOTE_KINDS, Ladder, ladder, text_ladder
from mqttsec.trace.picture import svg_ladder
from mqttsec.trace.store import PUBLIC_METHODS, blank, dumps, load, loads, save
from mqttsec.trace.views import (
    arrow_frame,
    parties_of,
    payload_text,
    seen_by,
    seen_on_network,
    select,
    trace_frame,
)

__all__ = [
    "NOTE_KINDS", "PUBLIC_METHODS", "Arrow", "Connection", "Event", "EventKind", "Ladder", "Trace",
    "arrow_frame", "arrows", "blank", "capture", "capture_addresses", "connections", "dumps", "ladder",
    "load", "loads", "packet_label", "packet_name", "parties_of", "payload_text", "save", "seen_by",
    "seen_on_network", "select", "servers_of", "svg_ladder", "text_ladder", "trace_frame", "write_capture",
]
