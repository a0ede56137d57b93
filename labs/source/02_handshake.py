# %% [markdown] id=title
# # 02 The handshake
#
# alice and bob never meet, and the broker between them reads all it can. Step by step you watch them agree on keys that
# it cannot have; then you sit on the line yourself and try everything.
#
# **You will**
# - step through both blocks of the handshake, packet by packet, and predict who has which key
# - tamper with, drop, delay, replay and inject packets: as the network, as the broker, as a malicious subscriber
# - write the key derivation, and open with it what the system sealed
# - find what is missing under a signature from the attacks that succeed
# - make a replay work, and say what stops it
#
# **Prerequisites** Lab 01. What a signature, a certificate and a Diffie-Hellman exchange are; no proofs.
#
# **Time** 85 minutes in all: steps 20, tampering 15, keys 15, bindings 15, insiders 10, sockets 5, questions 5.
#
# **Threat model** The broker is curious, and in parts dishonest. The network reads, changes, replays and drops. An insider
# (mallory) has a certificate and subscribes like bob.
#
# **Ethics** Everything runs on this machine, on the loopback interface or in memory. Attack only systems that are your own.
#
# **Sources** Chien, Shih, Huang, *Exploring MQTT Broker-Based, End-to-End Models for Security and Efficiency*, Sensors
# 25(17):5308, 2025: the handshake (*published*). What we mend (*hardened*) follows SIGMA and TLS 1.3. MQTT 5.0: 3.15, 4.12.

# %% id=start
from mqttsec import labs

lab = labs.Handshake(seed=7)
check = lab.check
lab

# %% [markdown] id=steps
# ## 1 Step by step
#
# **Block 1** connects the publisher alice and the broker: each sends an ephemeral public key *R*, signed. **Block 2** lets
# bob ask for a topic: the broker passes his signed request on to alice, and her answer back to him. A client alone may
# begin an authentication, so the broker reaches alice by PUBLISH, on a control topic of hers.
#
# | key | between | for |
# |:---|:---|:---|
# | K_PB | alice, broker | the channel of the two |
# | K_BSi | broker, bob | the channel of the two |
# | K_PSi | alice, bob | end to end |
# | GK_B | broker, all subscribers | one layer for all (Schemes 3 and 4) |
# | GK_P | alice, all subscribers | end to end, for all (Schemes 3 and 4) |
#
# The lab begins with Scheme 3, *published*: as the paper has it. One step is one packet. Keys are fresh in each run, names
# and sizes are not.

# %% id=step
lab.step()

# %% [markdown] id=exercise-1
# ### Exercise 1: who has which key?
#
# **Predict** before you go on: who holds each of the five keys at the end of Block 2? The parties are `"alice"`,
# `"broker"` and `"bob"`. The check asks their machines.

# %% id=answer-1
holders = {"K_PB": ..., "K_BSi": ..., "K_PSi": ..., "GK_B": ..., "GK_P": ...}
### BEGIN SOLUTION
holders = {"K_PB": {"alice", "broker"}, "K_BSi": {"broker", "bob"}, "K_PSi": {"alice", "bob"},
           "GK_B": {"broker", "bob"}, "GK_P": {"alice", "bob"}}
### END SOLUTION
check.exercise_1(holders)

# %% [markdown] id=teacher-1 tags=teacher
# **For teachers** (5 minutes). Expected: each key with the two it is named after, GK_B with broker and bob, GK_P with alice and
# bob. Misconception: "the broker passes R_SP and R_PS on, so it has K_PSi". It has both *public* halves. Ask what it could
# do instead (put in its own halves: then the signatures fail, section 4).

# %% [markdown] id=console-text
# ### The console
#
# **Next** delivers one packet, **Back** takes it back. Below: what has been reached, who holds which key, who can read the
# messages. The second half of the buttons is for section 2.

# %% id=console
lab.console()

# %% [markdown] id=console-look
# **Look for** the moment in which alice has K_PSi and bob has not; and for AUTH, with which the broker asks bob to keep
# waiting. The same as text:

# %% id=run
lab.run()

# %% id=ladder
print(lab.ladder())

# %% id=knows
lab.knows()

# %% [markdown] id=packet-text
# One packet field by field. The fields of the handshake's own message stand set in below the Authentication Data that
# carries it: `R_P` is alice's half of K_PB, `Sig_P:c1` her signature. `...` is what differs from run to run.

# %% id=packet
lab.packet(1)

# %% [markdown] id=reads-text
# And who can read the messages? Each party tries with all keys that it really has. (mallory has subscribed like bob.)

# %% id=reads
lab.reads()

# %% [markdown] id=tamper
# ## 2 On the line
#
# Now you are the network. `lab.tamper(2, "signature")` flips a bit of packet 2 and delivers it. **Predict**: who notices,
# and what becomes of the rest?

# %% id=reset
lab.reset()
lab.tamper(2, "signature")

# %% [markdown] id=tamper-look
# Which fields does a packet have? And what happens to each, if you change it? Try it in the console as well: choose a
# field, press **Tamper**.

# %% id=fields
lab.reset()
lab.fields(3)

# %% id=tamper-topic
lab.tamper(3, "topic", "weather/oslo")

# %% [markdown] id=drop-text
# What if packet 7, alice's answer, never arrives? A clock in the broker decides.

# %% id=drop
lab.reset()
lab.drop(7)
print(lab.run())

# %% id=drop-ladder
print(lab.ladder(first=7))

# %% [markdown] id=delay-text
# A timestamp may be 60 seconds off. **Break it**: how late may packet 1 come? And which guarantee is lost by dropping and
# delaying, however well all is signed?

# %% id=delay
lab.reset()
lab.delay(1, seconds=61)

# %% id=guarantees
lab.reset()
lab.run()
lab.guarantees()

# %% [markdown] id=guarantees-look
# **Look for** the numbers on the right: all is well now, and yet some of these guarantees can be broken under *published*,
# without anybody noticing. The attacks are programs of this laboratory. *row* counts the six weaknesses behind them: a
# signature that does not say for whom it is (1), nothing that remembers what has come before (2), one key for every use (3), a
# layer that binds neither topic nor number (4), members who can do all that the publisher can (5), and who keep their keys (6).


# %% [markdown] id=teacher-tamper tags=teacher
# **For teachers**, the predictions: alice notices, by the signature, and is not connected; the rest goes on, bob gets his keys,
# and nobody ever sends him anything. Dropping and delaying cost *availability*, which no signature gives: packet 1 may come
# up to 60 seconds late.

# %% id=attacks
lab.attacks()

# %% [markdown] id=keys
# ## 3 From a secret to keys
#
# Diffie-Hellman gives one secret. *Published* makes one key of it, for encryption and tags, in both directions. *Hardened*
# makes four, with HKDF and a label for each use:

# %% id=schedule
lab.key_schedule()

# %% [markdown] id=one-key
# What can go wrong with one key? Somebody needs to check tags only (a gateway that sorts out damage), is given the key for
# tags, and loses it:

# %% id=one-key-published
lab.attack("one key for all", "published")

# %% id=one-key-hardened
lab.attack("one key for all", "hardened")

# %% [markdown] id=exercise-2
# ### Exercise 2: derive the keys
#
# Each key of *hardened* is HKDF-SHA256 of the secret, without salt; its `info` are these fields in a row, each with its
# length before it (`fields(...)` does that):
#
# | field | what it is |
# |:---|:---|
# | `"mqttsec 1"` | the format |
# | `name` | of the key, such as `"K_PSi"` |
# | `purpose` | `"encryption"` or `"mac"` |
# | `*ends` | from whom, to whom |
# | `*context` | both ephemeral public keys |
#
# Write it. The check lets the system seal a message, and opens it with your keys.

# %% id=answer-2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mqttsec.crypto import fields


def derive(secret, name, purpose, ends, context, size):
    """`size` bytes of key: HKDF(hashes.SHA256(), size, None, info).derive(secret)."""
    ### BEGIN SOLUTION
    info = fields("mqttsec 1", name, purpose, *ends, *context)
    return HKDF(hashes.SHA256(), size, None, info).derive(secret)
    ### END SOLUTION


check.exercise_2(derive)

# %% [markdown] id=teacher-2 tags=teacher
# **For teachers** (10 minutes). Expected: HKDF-SHA256 over format, name, purpose, ends, context, each with its length before it.
# Misconceptions: that one key for all is simpler and no worse; that the order of the ends is a matter of taste. Slips that
# the check names: no label (that is *published*), no purpose, no context, ends swapped or sorted (then both directions share
# a key), fields without lengths. Ask why lengths matter: `"ab", "c"` and `"a", "bc"` must not give one label.

# %% [markdown] id=bindings
# ## 4 What a signature has to bind
#
# Under *published*, B's signature of step 3 covers `R_B` and `T_B`: nothing says *whom* it answers.

# %% id=misbinding
lab.attack("identity misbinding", "published")

# %% id=mixed
lab.attack("mixed parallel runs", "published")

# %% id=mixed-hardened
lab.attack("mixed parallel runs", "hardened")

# %% [markdown] id=exercise-3
# ### Exercise 3: find the missing binding
#
# Three handshakes, each whole but for one thing that was taken away: P's **name** under B's signature, P's **ephemeral**
# key under B's signature, or the broker's replay **cache**. The table says which attacks succeed against which. What is
# missing in A, B and C? The check puts back what you say, and runs all attacks again.

# %% id=mutants
print(lab.mutants())

# %% id=answer-3
missing = {"A": ..., "B": ..., "C": ...}
### BEGIN SOLUTION
missing = {"A": "ephemeral", "B": "name", "C": "cache"}
### END SOLUTION
check.exercise_3(missing)

# %% [markdown] id=teacher-3 tags=teacher
# **For teachers** (8 minutes). Expected with seed 7: A the ephemeral key, B the name, C the cache; other seeds, another order.
# Misconception: "the signature is valid, so it is for me". A name under a signature does not make it fresh; a fresh key does
# not say whose it is.

# %% [markdown] id=exercise-4
# ### Exercise 4: make the replay work, then stop it
#
# alice's CONNECT is packet 1. Write a function that lets Block 1 happen (`lab.jump("block 1")`) and then replays a packet
# (`lab.replay(number)`), so that alice and the broker no longer have the same K_PB. The check runs it against *published*
# and against *hardened*. Try it yourself, too: `lab.use(3, "hardened")`, your function, and read what the broker says.
# Which check stops it? Give its name as the refusal does (two words before "failed").

# %% id=answer-4
stopped_by = ...


def replay_it(lab):
    """Break K_PB by a replay alone."""
    ### BEGIN SOLUTION
    lab.jump("block 1")
    lab.replay(1)


stopped_by = "unseen R_P"
### END SOLUTION
check.exercise_4(replay_it, stopped_by)

# %% [markdown] id=teacher-4 tags=teacher
# **For teachers** (7 minutes). Expected: Block 1, then packet 1 again; `unseen R_P`. Misconceptions: that a replay gives the
# attacker a key (nobody learns one: the attacker has no private half; but alice is cut off, and believes that she is
# connected), and that a timestamp suffices. Within its window only the cache helps, or a confirming message from alice (an
# option of *hardened*).

# %% [markdown] id=insiders
# ## 5 Insiders
#
# mallory has subscribed like bob, so she has GK_B and GK_P. **Predict** for each: does bob believe a message "from alice"
# that is made by the network, by the broker, by mallory? (Layers have numbers: 1 from end to end, 2 to the broker, 3 from it.)

# %% id=forge
lab.use(3, "hardened")
for forger in ("network", "broker", "mallory"):
    lab.reset()
    lab.jump("block 2")
    print(lab.inject("99.9 C", by=forger))

# %% id=forge-guarantees
lab.guarantees()


# %% [markdown] id=teacher-insiders tags=teacher
# **For teachers**, the prediction: the network has no key, so no; the broker has GK_B and makes the outer layer, not the
# inner one; mallory has both. Misconception: that a tag proves who sent a message. It proves that somebody with the key did.

# %% [markdown] id=signed-text
# A tag under a group's key proves only that *a member* made it. What helps is a signature of alice on every message:

# %% id=signed
lab.use(3, "hardened", signed=True)
lab.jump("block 2")
lab.inject("99.9 C", by="mallory")

# %% [markdown] id=broker-text
# A dishonest broker cannot read, but it can deliver twice, late or in another order. And a member who left:

# %% id=broker-replays
lab.attack("replayed message", "published")

# %% id=gone
lab.attack("gone member reads", "published")

# %% id=gone-hardened
lab.attack("gone member reads", "hardened")

# %% [markdown] id=all-text
# All attacks against both profiles, run now:

# %% id=all
from mqttsec.e2e.attacks import run_all

print(run_all())

# %% [markdown] id=sockets
# ## 6 Over real sockets
#
# So far all packets stayed in memory, so that you could hold them up. Now the same over TCP: a broker on 127.0.0.1, and
# alice and bob as clients of paho, the usual MQTT library.

# %% id=sockets-run
lab.use(3, "hardened")
run = lab.over_sockets()
run

# %% [markdown] id=sockets-look
# **Look for** the packets of section 1, in the same order, and some bytes more in alice's answer: this is *hardened*. Her
# messages have QoS 0: nothing gets lost here, so nobody acknowledges them.

# %% id=sockets-ladder
print(run.ladder())

# %% [markdown] id=capture-text
# The capture is for Wireshark (or `tshark -r out/lab02.pcap -Y mqtt -V`). **Look for** bob's CONNECT: his certificate and the
# topic are there for everybody to read. Is the temperature?

# %% id=capture
lab.capture(run)

# %% [markdown] id=questions
# ## 7 What have you learned?
#
# Answer with a letter in place of `...`.

# %% id=questionnaire
print(check.questions())

# %% id=answers
answers = [..., ..., ..., ..., ..., ...]
### BEGIN SOLUTION
answers = ["b", "a", "c", "b", "b", "b"]
### END SOLUTION
lab.answer(answers)

# %% [markdown] id=further
# **Further reading**
#
# - H. Krawczyk, *SIGMA: the 'SIGn-and-MAc' approach to authenticated Diffie-Hellman*, CRYPTO 2003: why names and both
#   ephemeral keys belong under a signature.
# - RFC 5869 (HKDF); RFC 8446 (TLS 1.3), 4.4.3: what TLS signs.
# - A goal that holds with one run a role and no insider may fail with two runs, or with one. Under which assumptions was
#   a proof made? That is the question of a later lab.
#
# Your report: put your name in. It writes a JSON and a CSV file to `out/`; your teacher runs the notebook again.

# %% id=report
lab.report("Your Name")
