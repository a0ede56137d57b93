"""Schemes 1 to 4: handshake and channel as data and pure machines, then as parts of a broker and clients.

| module | what it holds | specification |
|---|---|---|
| `terms`, `schemes` | the paper's words; the four schemes as a table, and the costs that follow | 1.2, 1.5 |
| `encoding`, `messages` | one canonical form for every message | 1.3 - 1.5 |
| `steps` | steps 1 to 15 as data: who sends, what is signed, what is checked | 1.3, 1.4, 1.7 |
| `setup`, `handshake` | what parties agree on; the machine that runs the steps | 1.3, 1.4 |
| `publisher`, `broker`, `audience`, `subscriber` | the three parties, without sockets | 1.3 - 1.7 |
| `channel`, `groups` | layers, sequence numbers, group keys on their way | 1.5, 1.7 |
| `company`, `exchange` | all parties in memory: by calls, or packet by packet | 1.3 - 1.5 |
| `attacks` | every weakness as a program, against both profiles | 1.7 |
| `knowledge`, `guarantees` | who holds and reads what, and what a run has reached | 1.1, 1.7 |
| `predictions` | what the steps say must happen to a message that was tampered with | 1.7 |
| `alterations`, `stages`, `roads`, `tamper_matrix` | each field of each message changed, held to them | 1.7 |
| `control`, `access`, `waiting`, `broker_side` | B on the MQTT broker: method, guard, channels | 1.4 |
| `ends`, `journal` | P and S between machine and client; their entries in a trace | 1.3 - 1.5 |
| `faces`, `parties`, `memory_parties` | P and S to use: on paho, on light clients | 1.3 - 1.5 |
| `demonstration`, `commands` | all four over sockets; each party in a process of its own | |
"""

from __future__ import annotations

from mqttsec.e2e.broker import Broker, Departure, Ticket, Welcome
from mqttsec.e2e.channel import LayerCheck, LayerRefused
from mqttsec.e2e.encoding import Message, decode, explain
from mqttsec.e2e.handshake import CheckFailed, Run, read
from mqttsec.e2e.publisher import Publisher
from mqttsec.e2e.schemes import SCHEMES, Mode, Protection, Scheme, Wire
from mqttsec.e2e.setup import Party, Setup
from mqttsec.e2e.steps import Check, Checking, CheckKind, Script, Sending, script
from mqttsec.e2e.subscriber import Opened, Subscriber
from mqttsec.e2e.terms import KeyName, Role, Term

__all__ = [
    "SCHEMES",
    "Broker",
    "Check",
    "CheckFailed",
    "CheckKind",
    "Checking",
    "Departure",
    "KeyName",
    "LayerCheck",
    "LayerRefused",
    "Message",
    "Mode",
    "Opened",
    "Party",
    "Protection",
    "Publisher",
    "Role",
    "Run",
    "Scheme",
    "Script",
    "Sending",
    "Setup",
    "Subscriber",
    "Term",
    "Ticket",
    "Welcome",
    "Wire",
    "decode",
    "explain",
    "read",
    "script",
]
