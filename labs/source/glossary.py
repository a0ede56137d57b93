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
# | Client | a program that publishes, or subscribes, or both | MQTT 5 1.2 | 01 |
# | Clean Start | begin with a new Session and forget the old one | MQTT 5 3.1.2.4 | 01 |
# | Client Identifier | by what the broker knows a client and its Session | MQTT 5 3.1.3.1 | 01 |
# | CONNECT, CONNACK | the first packet of a client, and the broker's answer with a Reason Code | MQTT 5 3.1, 3.2 | 01, 02 |
# | Correlation Data | says to which request a response belongs | MQTT 5 3.3.2.3.6, 4.10 | 02 |
# | DUP | set on a PUBLISH that is sent again | MQTT 5 3.3.1.1 | 01 |
# | Keep Alive | the longest silence of a client, in seconds | MQTT 5 3.1.2.10 | 01 |
# | Malformed Packet | one that cannot be read by the rules of the standard; its connection is closed | MQTT 5 1.2, 4.13.1 | 01 |
# | Packet Identifier | ties a PUBLISH of QoS 1 or 2, or a SUBSCRIBE, to its acknowledgement | MQTT 5 2.2.1 | 01, 06 |
# | PUBLISH | the packet that carries an Application Message | MQTT 5 3.3 | 01 |
# | PUBACK; PUBREC, PUBREL, PUBCOMP | acknowledgement of QoS 1; the three that follow a PUBLISH of QoS 2 | MQTT 5 3.4 to 3.7 | 01 |
# | QoS | at most once (0), at least once (1), exactly once (2), for each hop | MQTT 5 4.3 | 01, 06 |
# | Reason Code, Reason String | one byte that says how it went, and a text for people | MQTT 5 2.4, 3.2.2.3.9 | 01, 02 |
# | Receive Maximum | how many QoS 1 and 2 messages may be on their way at once | MQTT 5 3.1.2.11.3, 4.9 | 01 |
# | Response Topic | where the answer to a request is published | MQTT 5 3.3.2.3.5, 4.10 | 02 |
# | retained message | the last message of a topic, kept for later subscribers | MQTT 5 3.3.1.3 | 01, 06 |
# | Session | what the broker remembers of a client: subscriptions, messages on their way | MQTT 5 4.1 | 01 |
# | SUBSCRIBE, SUBACK | asks for the messages that match Topic Filters; the broker's answer | MQTT 5 3.8, 3.9 | 01, 06 |
# | Topic Name, Topic Filter | what a message is published to; what a subscription matches, with `+` and `#` | MQTT 5 4.7 | 01 |
# | User Property | a pair of texts that is passed on with a packet | MQTT 5 3.3.2.3.7 | 01 |
# | Variable Byte Integer | a number in one to four bytes, seven bits in each: the Remaining Length | MQTT 5 1.5.5, 2.1.4 | 01 |
# | Will Message | published by the broker when a client is gone without a DISCONNECT | MQTT 5 3.1.2.5 | 01 |

# %% [markdown] id=e2e
# ## End-to-end schemes
#
# | Term | Meaning | Source | Lab |
# |:---|:---|:---|:---|
# | Block 1, Block 2, Block 3 | handshake publisher-broker; handshake subscriber-broker-publisher; publishing | E2E section 4 | 02, 03 |
# | certificate, authority | binds a name to a public key; who signs certificates | E2E section 3; RFC 5280 | 02, 09 |
# | channel key, K_PB, K_BSi | secret of publisher and broker, of broker and subscriber *i* | E2E section 4 | 02, 03 |
# | confirming message | one more signed message, by which a party proves that it is there now | ours, *hardened* | 02, 08 |
# | curious broker | does its work and reads whatever it can | E2E section 3 | 01, 03 |
# | E, D, H | one encryption, one decryption, one message authentication code | E2E section 5 | 03, 04 |
# | EI, I | encrypt-then-MAC; MAC only | E2E section 4 | 03 |
# | ephemeral key | key pair made for one run and then forgotten; r is private, R = rG is public | E2E section 4 | 02 |
# | epoch | the time in which one group key is in use, `generation.step`: a leave begins a new generation, a join is a step | ours, *hardened* | 05 |
# | forward secrecy | keys of old runs stay secret when long-term keys leak later | RFC 8446 appendix E | 08 |
# | GK_B, GK_P | group key of the broker for its subscribers; of the publisher, which the broker must not know | E2E section 4 | 03, 05 |
# | identity misbinding | both ends share a key and disagree on whom with (unknown key share) | Diffie, van Oorschot, Wiener 1992; Krawczyk 2003 | 02, 08 |
# | insider, mallory | somebody with a certificate who does not keep to the protocol | Lowe 1996 | 02, 08 |
# | KDF, HKDF | makes keys out of a Diffie-Hellman secret; with a label for each purpose | E2E section 4; RFC 5869 | 02, 05 |
# | K_PSi | end-to-end key of publisher and subscriber *i* | E2E section 4 | 02, 03 |
# | P, B, S_i | publisher, broker, subscriber *i*; in the labs also alice, bob, the station, the dashboard | E2E section 3 | all |
# | `per_recipient`, `single_ciphertext` | a ciphertext for each subscriber's own key; one for all | ours, from the paper's timings | 03, 04 |
# | *published*, *hardened* | as the paper's text says; as we recommend | ours | 02, 03, 05, 08 |
# | pseudonym | a name that the authority certifies, and whose owner it alone knows | ours, in the combination | 09 |
# | ratchet | each step's group key is made from the last one, and never back | ours, *hardened* | 05 |
# | rekeying | giving out a new group key when somebody joins or leaves | E2E section 4 leaves it open; RFC 2627 | 05 |
# | replay cache | remembers what was accepted, for as long as a timestamp counts as fresh | ours, *hardened* | 02, 08 |
# | Schemes 1 to 4 | what each of the channels P-B, B-S and P-S is protected by, and under which key | E2E section 4 | 03, 04, 09 |
# | suite | the algorithms for E and H: AES-128-CBC with HMAC-SHA-256 (the paper's kind), AES-GCM, ChaCha20-Poly1305 | RFC 2104, 5116, 8439 | 04 |
# | tag | what a message authentication code gives: shows that a message was not changed | RFC 2104 | 03 |
# | timestamp, T_X | when X signed; a message that is too old is refused | E2E section 4 | 02, 08 |
# | TLS | protects each connection by itself; the broker reads all | RFC 8446 | 01, 04 |
# | wrap | a group key encrypted under the key of one member | E2E section 4 | 05 |

# %% [markdown] id=mqtta
# ## MQTT-A and anonymity
#
# | Term | Meaning | Source | Lab |
# |:---|:---|:---|:---|
# | bridge broker, B_R | a peer of the network: passes publications and subscriptions on | MQTT-A section IV | 06 |
# | public broker, B_P | an ordinary broker that hosts the actual topics, unmodified | MQTT-A section IV | 06 |
# | discovery broker, B_D | knows which public broker has which topic, and all peers | MQTT-A section V | 06 |
# | T_F, T_A | forwarding prefix: asks for the network; the actual topic | MQTT-A section VI | 06 |
# | T_N, T_S, T_N', T_S' | topics of new topics, of the set of topics; the same for peers | MQTT-A section V | 06 |
# | p_f, R | probability of forwarding; the number that a broker draws against it | Reiter, Rubin 1998; MQTT-A section VI | 06, 07 |
# | blind, topic-aware, topic-and-QoS-aware | what a broker does where paths cross | MQTT-A section VI | 06 |
# | exit | the bridge broker that hands a message to the public broker: the last one of a path | MQTT-A section VI | 06, 07 |
# | path length L | links from the first bridge broker to the public broker; the client's own link is not counted | MQTT-A section VI | 06 |
# | RTT | round-trip time between two brokers: a hop takes half of it | MQTT-A section VIII | 06, 07 |
# | token | random, new at each hop, in place of a packet identifier: subscriptions are told apart by it | ours, *mended* | 06 |
# | *published*, *mended* | the network's rules as the paper has them; as we recommend | ours | 06 |
# | variant A, variant B | a broker may pick itself as the next one; it never does | A: Reiter, Rubin 1998; B: ours | 06, 07 |
# | collaborator, colluding broker | a bridge broker that shares what it sees; c of n | Reiter, Rubin 1998 | 07 |
# | H1+, I | a collaborator is on the path; the first one's predecessor is the initiator | Reiter, Rubin 1998 | 07 |
# | probable innocence | the initiator is no more likely than not the one: P(I given H1+) at most 1/2 | Reiter, Rubin 1998 | 07 |
# | degree of anonymity, effective set size | entropy of the suspects over its maximum; 2 to the power of the entropy | Diaz, Seys, Claessens, Preneel 2002; Serjantov, Danezis 2002 | 07 |
# | predecessor attack | over many rounds the initiator precedes collaborators most often | Wright, Adler, Levine, Shields 2004 | 07 |
# | sticky path, lifetime | a path that is kept instead of drawn for each message; for so many messages, or until one of its brokers leaves | ours, *mended* | 07 |
# | local eavesdropper | sees all that enters and leaves one client | Reiter, Rubin 1998 | 07 |

# %% [markdown] id=proofs
# ## Proofs
#
# | Term | Meaning | Source | Lab |
# |:---|:---|:---|:---|
# | Dolev and Yao's intruder | owns the network, breaks no cryptography | Dolev, Yao 1983 | 08 |
# | secrecy | nobody else can have the key | Dolev, Yao 1983 | 08 |
# | aliveness, agreement | the other party has run; it has run with me, on the same values | Lowe 1997 | 08 |
# | once | each of my runs stands for a run of the other party: with agreement, *injective* agreement | Lowe 1997 | 08 |
# | binding | nobody has the key under another's name: fails by identity misbinding | Krawczyk 2003 | 08 |
# | pairing | who runs with me has my key: fails when parallel runs are mixed | Krawczyk 2003 | 08 |
# | bounded | checked for so many role instances, and no more | Lowe 1996 | 08 |
# | role instance | one run of one party's part | Lowe 1997 | 08 |
# | Maude | the language and engine in which the model is written and searched | Clavel et al. 2007 | 08 |
# | HLPSL, SPAN, OFMC | the paper's language, tool and engine for its proof | E2E section 5.2 | 08 |
# | SIGMA | sign both ephemerals, and MAC the identities; the pattern of IKE and TLS 1.3 | Krawczyk 2003; RFC 8446 4.4 | 02, 08 |

# %% [markdown] id=tools
# ## Tools of the laboratory
#
# | Term | Meaning | Lab |
# |:---|:---|:---|
# | *todo*, *wrong*, *ok* | what a check says: nothing answered yet; a hint; right | all |
# | ladder | parties side by side, time downwards, an arrow a packet | 01, 02, 08 |
# | report | what you got right, as JSON and CSV in `out/`; a teacher runs the notebook again | all |
# | seed | what chance begins with: the same seed gives the same packets on every machine | all |
# | step, milestone | one packet or computation of a handshake; a point that is worth stopping at | 02 |
# | trace | everything that happened in a run, without secrets; ladders and tables read it | 01, 02 |
# | virtual clock | network time that jumps from event to event: an hour in seconds, the same on every machine | 01, 06 |

# %% [markdown] id=version
# ## Which version?
#
# Words change with the laboratory; these are of version:

# %% id=installed
import mqttsec

print(mqttsec.__version__)
