# %% [markdown] id=title
# # Glossary
#
# The words of the labs, where they come from, and the lab in which you meet them. **E2E** is Chien, Shih, Huang 2025
# (Schemes 1 to 4), **MQTT-A** is Buccafurri, De Angelis, Lazzaro 2023; numbers after *MQTT 5* are sections of the OASIS
# standard.

# %% [markdown] id=mqtt
# ## MQTT
#
# | Term | Meaning | Source | Lab |
# |:---|:---|:---|:---|
# | Application Message | what a publisher wants to get across: Topic Name, payload, QoS, properties | MQTT 5 1.2 | 01 |
# | AUTH | the packet of enhanced authentication: 0x18 continue, 0x19 re-authenticate | MQTT 5 3.15, 4.12 | 02 |
# | Authentication Method, Authentication Data | properties that name the method and carry its binary messages | MQTT 5 3.1.2.11.9, 3.1.2.11.10 | 02 |
# | broker, Server | passes Application Messages on from publishers to subscribers | MQTT 5 1.2 | 01 |
# | Clean Start | begin with a new Session and forget the old one | MQTT 5 3.1.2.4 | 01 |
# | Client Identifier | by what the broker knows a client and its Session | MQTT 5 3.1.3.1 | 01 |
# | CONNECT, CONNACK | the first packet of a client, and the broker's answer with a Reason Code | MQTT 5 3.1, 3.2 | 01, 02 |
# | Correlation Data | says to which request a response belongs | MQTT 5 3.3.2.3.6, 4.10 | 02 |
# | DUP | set on a PUBLISH that is sent again | MQTT 5 3.3.1.1 | 01 |
# | Keep Alive | the longest silence of a client, in seconds | MQTT 5 3.1.2.10 | 01 |
# | PUBACK; PUBREC, PUBREL, PUBCOMP | acknowledgement of QoS 1; the three that follow a PUBLISH of QoS 2 | MQTT 5 3.4 to 3.7 | 01 |
# | QoS | at most once (0), at least once (1), exactly once (2), for each hop | MQTT 5 4.3 | 01, 06 |
# | Reason Code, Reason String | one byte that says how it went, and a text for people | MQTT 5 2.4, 3.2.2.3.9 | 01, 02 |
# | Receive Maximum | how many QoS 1 and 2 messages may be on their way at once | MQTT 5 3.1.2.11.3, 4.9 | 01 |
# | Response Topic | where the answer to a request is published | MQTT 5 3.3.2.3.5, 4.10 | 02 |
# | retained message | the last message of a topic, kept for later subscribers | MQTT 5 3.3.1.3 | 01, 06 |
# | Session | what the broker remembers of a client: subscriptions, messages on their way | MQTT 5 4.1 | 01 |
# | Topic Name, Topic Filter | what a message is published to; what a subscription matches, with `+` and `#` | MQTT 5 4.7 | 01 |
# | User Property | a pair of texts that is passed on with a packet | MQTT 5 3.3.2.3.7 | 01 |
# | Will Message | published by the broker when a client is gone without a DISCONNECT | MQTT 5 3.1.2.5 | 01 |

# %% [markdown] id=e2e
# ## End-to-end schemes
#
# | Term | Meaning | Source | Lab |
# |:---|:---|:---|:---|
# | Block 1, Block 2, Block 3 | handshake publisher-broker; handshake subscriber-broker-publisher; publishing | E2E section 4 | 02, 03 |
# | channel key, K_PB, K_BSi | secret of publisher and broker, of broker and subscriber *i* | E2E section 4 | 02, 03 |
# | confirming message | one more signed message, by which a party proves that it is there now | ours, *hardened* | 02, 08 |
# | curious broker | does its work and reads whatever it can | E2E section 3 | 01, 03 |
# | E, D, H | one encryption, one decryption, one message authentication code | E2E section 5 | 03, 04 |
# | EI, I | encrypt-then-MAC; MAC only | E2E section 4 | 03 |
# | ephemeral key | key pair made for one run and then forgotten; r is private, R = rG is public | E2E section 4 | 02 |
# | epoch | number of a group key's generation; a new one at joins and leaves | ours, *hardened* | 05 |
# | forward secrecy | keys of old runs stay secret when long-term keys leak later | RFC 8446 appendix E | 08 |
# | GK_B, GK_P | group key of the broker for its subscribers; of the publisher, which the broker must not know | E2E section 4 | 03, 05 |
# | identity misbinding | both ends share a key and disagree on whom with (unknown key share) | Diffie, van Oorschot, Wiener 1992; Krawczyk 2003 | 02, 08 |
# | K_PSi | end-to-end key of publisher and subscriber *i* | E2E section 4 | 02, 03 |
# | per recipient, single ciphertext | a ciphertext for each subscriber's own key; one for all | ours, from the paper's timings | 03, 04 |
# | *published*, *hardened* | as the paper's text says; as we recommend | ours | all |
# | replay cache | remembers what was accepted, for as long as a timestamp counts as fresh | ours, *hardened* | 02, 08 |
# | wrap | a group key encrypted under the key of one member | E2E section 4 | 05 |

# %% [markdown] id=mqtta
# ## MQTT-A and anonymity
#
# | Term | Meaning | Source | Lab |
# |:---|:---|:---|:---|
# | bridge broker, B_R | a peer of the network: passes publications and subscriptions on | MQTT-A section IV | 06 |
# | public broker, B_P | an ordinary broker that hosts the actual topics, unmodified | MQTT-A section IV | 06 |
# | discovery broker, B_D | knows which public broker has which topic, and all peers | MQTT-A section V | 06 |
# | T_F, T_A | forwarding prefix; actual topic | MQTT-A section VI | 06 |
# | T_N, T_S, T_N', T_S' | topics of new topics, of the set of topics; the same for peers | MQTT-A section V | 06 |
# | p_f, R | probability of forwarding; the number that a broker draws against it | Reiter, Rubin 1998; MQTT-A section VI | 06, 07 |
# | blind, topic-aware, topic-and-QoS-aware | what a broker does where paths cross | MQTT-A section VI | 06 |
# | collaborator, colluding broker | a bridge broker that shares what it sees; c of n | Reiter, Rubin 1998 | 07 |
# | H1+, I | a collaborator is on the path; the first one's predecessor is the initiator | Reiter, Rubin 1998 | 07 |
# | probable innocence | the initiator is no more likely than not the one: P(I given H1+) at most 1/2 | Reiter, Rubin 1998 | 07 |
# | degree of anonymity, effective set size | entropy of the suspects over its maximum; 2 to the power of the entropy | Diaz, Seys, Claessens, Preneel 2002; Serjantov, Danezis 2002 | 07 |
# | predecessor attack | over many rounds the initiator precedes collaborators most often | Wright, Adler, Levine, Shields 2004 | 07 |
# | sticky path | a path that is kept for a time instead of drawn for each message | ours, *mended* | 06, 07 |
# | local eavesdropper | sees all that enters and leaves one client | Reiter, Rubin 1998 | 07 |

# %% [markdown] id=proofs
# ## Proofs
#
# | Term | Meaning | Source | Lab |
# |:---|:---|:---|:---|
# | Dolev-Yao intruder | owns the network, breaks no cryptography | Dolev, Yao 1983 | 02, 08 |
# | aliveness, agreement | the other party has run; it has run with me, on the same values; injective: once for each of my runs | Lowe 1997 | 08 |
# | bounded | checked for so many role instances, and no more | | 08 |
# | role instance | one run of one party's part | | 08 |
# | SIGMA | sign both ephemerals, and MAC the identities; the pattern of IKE and TLS 1.3 | Krawczyk 2003 | 08 |

# %% [markdown] id=tools
# ## Tools of the laboratory
#
# | Term | Meaning | Lab |
# |:---|:---|:---|
# | ladder | parties side by side, time downwards, an arrow a packet | all |
# | step, milestone | one packet or computation of a handshake; a point that is worth stopping at | 02 |
# | trace | everything that happened in a run, without secrets; ladders and tables read it | all |
# | virtual clock | network time that jumps from event to event: an hour in seconds, the same on every machine | 01, 06 |

# %% [markdown] id=version
# ## Which version?
#
# Words change with the laboratory; these are of version:

# %% id=installed
import mqttsec

print(mqttsec.__version__)
