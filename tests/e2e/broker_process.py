"""A broker with a scheme in a process of its own, which can be asked what its memory holds.

Arguments: a folder with identities, the number of the scheme. It prints its port. Each line on standard
input is a JSON list of SHA-256 digests; the answer is the list of those that it holds the bytes for.
"""

from __future__ import annotations

import gc
import hashlib
import json
import sys
from pathlib import Path
from types import FrameType, ModuleType

from mqttsec.crypto.pem import read_identity, read_trust
from mqttsec.e2e import Setup
from mqttsec.e2e.broker_side import BrokerSide
from mqttsec.mqtt5 import InProcessBroker


def digests() -> set[str]:
    """Of all byte strings as long as a key that any live object leads to."""
    found: set[str] = set()
    seen: set[int] = set()
    todo = gc.get_objects()
    while todo:
        each = todo.pop()
        if id(each) in seen or isinstance(each, FrameType):
            continue
        seen.add(id(each))
        if isinstance(each, (bytes, bytearray)):
            if 16 <= len(each) <= 64:
                found.add(hashlib.sha256(each).hexdigest())
        elif isinstance(each, ModuleType):
            # Python 3.12.1 never comes back from asking `_asyncio` itself what it refers to.
            todo.append(vars(each))
        else:
            todo += gc.get_referents(each)
    return found


def main(folder: Path, number: int) -> None:
    identity = read_identity(folder / "broker.crt.pem", folder / "broker.key.pem")
    side = BrokerSide(identity, read_trust(folder / "ca.crt.pem"), Setup(number))
    with InProcessBroker(extensions=[side]) as broker:
        print(broker.port, flush=True)
        for line in sys.stdin:
            held = digests()
            print(json.dumps([digest for digest in json.loads(line) if digest in held]), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
