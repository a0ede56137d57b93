"""Proofs you can run: symbolic analysis of the handshake, from the same steps that run it.

| module | what it holds |
|---|---|
| `roles` | a protocol as roles that send, receive and claim: terms, patterns, stages |
| `from_steps` | the roles of a handshake, made from the steps that the machines run |
| `classic` | protocols with a known attack or a known proof, to check ourselves |
| `variants` | *published*, *hardened*, and one mutation a safeguard |
| `cases` | who attacks, which instances there may be, which goals are asked for |
| `matrix` | all cases of a variant, and the table of what came of them |
| `module` | the text of a Maude module for a case: `maude_terms`, `maude_rules`, `maude_goals` |
| `worker`, `runner` | one search in a process of its own, with a time limit |
| `explorer`, `judge` | the same search by a few lines of Python: the count of states is compared |
| `findings` | what a search has found: verdicts, and attacks as a list of steps |
| `replay`, `live`, `story` | an attack, run on the real machines, and on a live broker; what it tells |
| `command` | `mqttsec verify` |
| `hlpsl`, `proverif`, `tamarin`, `words` | the model as text for other tools |

A result is *bounded* (so many instances of roles) and *symbolic* (signatures cannot be forged, hashes not
inverted, numbers not guessed): an attack that is found is real, and is run; "safe" means that there is no
attack within the bound and the model.
"""
