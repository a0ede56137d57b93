# %% [markdown] id=title
# # 03 Four schemes
#
# One weather reading goes through each of four schemes that keep it from the broker. You count what each costs,
# look with everybody's keys, and change bits until somebody notices.
#
# **You will**
# - name, for each scheme, who encrypts what under which key
# - predict how many operations a message costs station, broker and subscriber
# - try what each party reads with the keys that it really has
# - tell which layer notices a change, and which change nobody notices
# - choose the cheapest scheme for a requirement
#
# **Prerequisites** Lab 01. How the keys came about is the matter of lab 02; here they are there.
#
# **Time** 63 minutes in all: layers 15, costs 15, eyes 8, changes 12, choice 6, sockets 3, questions 4.
#
# **Threat model** A curious broker that routes and reads all it can; an outsider on the network who reads, changes and
# replays; in section 4 also a broker that changes what it passes on. Topics are visible to the broker.
#
# **Ethics** Everything runs on this machine, in memory or on the loopback interface. Tamper with systems only that are your own.
#
# **Sources** Chien, Shih, Huang, *Exploring MQTT Broker-Based, End-to-End Models for Security and Efficiency*, Sensors
# 25(17):5308, 2025: Schemes 1 to 4.

# %% id=start
from mqttsec import labs

lab = labs.FourSchemes(seed=7)
check = lab.check
lab

# %% [markdown] id=layers
# ## 1 Layers
#
# Publisher **P**, broker **B** and subscribers **S** make three channels: P-B, B-S, and P-S end to end. On each a message
# is protected by **EI** (encrypted, then a tag over the ciphertext), by **I** (a tag alone), or not at all:

# %% id=table
lab.table()

# %% [markdown] id=keys
# **K_PB**, **K_BSi** and **K_PSi** belong to two parties each. **GK_B** is a key of the broker for all subscribers,
# **GK_P** one of the publisher for all subscribers, which the broker must never have.
#
# **Predict**: in Scheme 2, how many different payloads does the station send for 3 subscribers? And in Scheme 3?
# Then move the sliders. A solid box is encrypted, a dashed one has a tag only: you see through it. *Suite* is the algorithms
# (`paper`: AES-128-CBC, then HMAC-SHA256), *Mode* whether each subscriber gets a ciphertext of its own.

# %% id=explore
lab.explore()

# %% [markdown] id=layers-look
# **Look for** what changes with *Subscribers* in Scheme 2 and does not in Scheme 3; and for the mode *single_ciphertext*,
# in which the paper measured: one end-to-end key for all, so that Schemes 1 and 2 too send one message.
#
# The same as text:


# %% [markdown] id=teacher-layers tags=teacher
# **For teachers**, the predictions: three, pairwise different, since each subscriber has a K_PSi of its own; in Scheme 3 one.
# Misconception: that Scheme 3 sends less to the *subscribers*. It is one payload to the broker, and n copies from it.

# %% id=send
lab.send(scheme=2, n=3)

# %% id=send-4
lab.send(scheme=4, n=3)

# %% [markdown] id=costs
# ## 2 Costs
#
# **E** is an encryption, **D** a decryption, **H** a tag made or checked. The parties count as they work:

# %% id=cost-table
lab.costs(n=3)

# %% [markdown] id=exercise-1
# ### Exercise 1: count the operations
#
# In Scheme 2 each subscriber has an end-to-end key of its own, and a ciphertext of its own (`per_recipient`). What does one
# message cost at the station, at the broker, and at each subscriber? Your number of subscribers:

# %% id=size
print(lab.n, "subscribers")

# %% id=answer-1
prediction = {"station": ..., "broker": ..., "subscriber": ...}
### BEGIN SOLUTION
n = lab.n
prediction = {"station": f"{2 * n}E + {2 * n}H", "broker": f"{n}D + {n}E + {2 * n}H"}
prediction["subscriber"] = "2D + 2H"
### END SOLUTION
check.exercise_1(prediction)

# %% [markdown] id=teacher-1 tags=teacher
# **For teachers** (6 minutes). Expected: n(2E + 2H), n(D + H) + n(E + H), 2D + 2H. Misconception: that the broker decrypts once
# (n inner layers came, each in an outer one of its own). Slips that the check names: counting for one subscriber, for one
# ciphertext, for all subscribers together. Ask what remains in `single_ciphertext`: D + H + n(E + H), so B still grows with n.

# %% [markdown] id=exercise-2
# ### Exercise 2: a broker that does not encrypt
#
# In which schemes does the broker neither encrypt nor decrypt anything? And in which of these does it check every message
# all the same?

# %% id=answer-2
never_encrypts = ...
but_checks = ...
### BEGIN SOLUTION
never_encrypts = {1, 4}
but_checks = 4
### END SOLUTION
check.exercise_2(never_encrypts, but_checks)

# %% [markdown] id=exercise-3
# ### Exercise 3: be the broker of Scheme 4
#
# `station` is a box with K_PB in it, `group` one with GK_B: `box.check(data, tag)` raises an error for a wrong tag,
# `box.mac(data)` makes one. The station sent `inner` with its `tag`. Refuse what was forged; return the tag for the
# subscribers.

# %% id=answer-3
def forward(station, group, inner, tag):
    """The tag that goes to all subscribers with `inner`."""
    ### BEGIN SOLUTION
    station.check(inner, tag)
    return group.mac(inner)
    ### END SOLUTION


check.exercise_3(forward)

# %% [markdown] id=teacher-3 tags=teacher
# **For teachers** (5 minutes). Expected in exercise 2: {1, 4} and 4; misconception: that a broker which makes a tag must open
# the layer. Expected in exercise 3: check the tag, then tag the same bytes for the group: 2H, whatever n, the point of Scheme
# 4; misconception: that the new tag goes over the old one, or over a decrypted `inner`, for which the broker has no key. Ask
# what Scheme 1 lets through that Scheme 4 stops.

# %% [markdown] id=eyes
# ## 3 Who reads what
#
# No theory here: the memory of each party is searched for keys, and every key found is tried on the bytes.

# %% id=readers
lab.readers()

# %% [markdown] id=eyes-look
# **Look for** the row of the broker: the same in all four. And for *another subscriber*: with a group key, what goes to one
# can be read by all. In Schemes 1 and 2 not even the same message gives the same bytes.
#
# The broker decrypts in Schemes 2 and 3, and comes as far as this:

# %% id=broker-2
for scheme in (1, 2, 3, 4):
    seen = lab.passage(scheme).observer("broker")
    opened = len(seen.to_broker.removed)
    print(f"Scheme {scheme}: keys {', '.join(seen.keys):<18} layers off {opened}")

# %% [markdown] id=changes
# ## 4 A changed bit
#
# Somebody changes one bit, or sends a message again: on a wire, or, as the broker, below its own layer. **Predict** who
# refuses it and by which channel's protection, then choose. The table shows what the model says beside what the run did.

# %% id=flips
lab.explore_flips()

# %% [markdown] id=changes-look
# **Break it**: set *Profile* to `published`, which does what the paper's text says, and *What* to `number` or `replay`.
# Who notices? The paper's tag covers the ciphertext alone; `hardened` has topic, epoch and sequence number under it as well.
#
# All of them as text, for Scheme 4:

# %% id=flip-table
lab.flips(scheme=4)

# %% id=flip-published
lab.flips(scheme=4, profile="published").where(lambda row: row["run: refused by"] == "nobody")

# %% [markdown] id=exercise-4
# ### Exercise 4: which layer notices?
#
# Four changes, all `hardened`. For each say who refuses it, `broker` or `subscriber`, and the channel whose
# protection noticed: `P-B`, `B-S` or `P-S`.

# %% id=riddles
print(lab.changes())

# %% id=answer-4
noticed = {"A": ..., "B": ..., "C": ..., "D": ...}
### BEGIN SOLUTION
noticed = {}
for riddle in lab.riddles:
    seen = lab.flip(riddle.scheme, riddle.where, riddle.what).flip.predicted
    noticed[riddle.letter] = (seen.party, seen.channel)
### END SOLUTION
check.exercise_4(noticed)

# %% [markdown] id=teacher-4 tags=teacher
# **For teachers** (6 minutes). Expected: the outermost layer at the place of the change decides: to the broker `("broker",
# "P-B")`, to the subscriber `("subscriber", "B-S")`; inside the broker, and anywhere in Scheme 1, `("subscriber", "P-S")`.
# Misconception: that Scheme 1 is weaker in integrity. It notices everything, but late: the broker has spread it by then.

# %% [markdown] id=choice
# ## 5 The cheapest that does it
#
# ### Exercise 5: choose
#
# Four jobs, each for 20 subscribers. Choose for each the scheme that meets it with the **fewest operations at the broker**.
# The check runs all four schemes, looks and tampers.

# %% id=jobs
lab.jobs()

# %% id=answer-5
scheme_for = {"archive": ..., "gate": ..., "veil": ..., "twins": ...}
### BEGIN SOLUTION
scheme_for = {"archive": 1, "gate": 4, "veil": 3, "twins": 2}
### END SOLUTION
check.exercise_5(scheme_for)

# %% id=costs-20
lab.costs(n=20)

# %% [markdown] id=teacher-5 tags=teacher
# **For teachers** (6 minutes). Expected: archive 1, gate 4, veil 3, twins 2. Misconception: that *archive* needs a broker that
# works; for confidentiality alone it need not do anything. *veil*: in Schemes 1 and 4 a listener reads the header of the
# inner layer (publisher, epoch, sequence number). Ask what all four leave open: topics, sizes, times, and who listens (MQTT-A,
# later labs). The prediction of section 6: *yes* in all four.

# %% [markdown] id=sockets
# ## 6 Over real sockets
#
# All of this ran in memory. Is it the same where a broker listens on a TCP port, and station and subscribers are clients of
# paho, the usual MQTT library? **Predict** the last row.

# %% id=sockets-run
lab.over_sockets(n=3)

# %% [markdown] id=questions
# ## 7 What have you learned?
#
# Answer with a letter in place of `...`.

# %% id=questionnaire
print(check.questions())

# %% id=answers
answers = [..., ..., ..., ..., ..., ...]
### BEGIN SOLUTION
answers = ["a", "b", "a", "c", "a", "b"]
### END SOLUTION
lab.answer(answers)

# %% [markdown] id=further
# **Further reading**
#
# - Bellare, Namprempre, *Authenticated Encryption: Relations among Notions*, 2000: why encrypt, then tag.
# - RFC 9605, *SFrame*: end-to-end layers through a server that must route, in another field.
# - What a group key does not give, and what it costs to change one: lab 05.
#
# Your report: put your name in. It writes a JSON and a CSV file to `out/`; your teacher runs the notebook again.

# %% id=report
lab.report("Your Name")
