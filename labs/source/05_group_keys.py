# %% [markdown] id=title
# # 05 Group keys
#
# One key for all makes a message cheap. Then somebody leaves, somebody is offline, and somebody inside lies: you see who
# reads what with real keys, forge a message as a member, and count what it costs to do it right.
#
# **You will**
# - follow a group key through joins and leaves, wrap by wrap
# - predict who can read which message, and why one who was offline catches up
# - turn the ratchet that makes a join cheap
# - forge a message as an insider, and stop it with a signature
# - tell what rekeying costs for n members
#
# **Prerequisites** Labs 01 and 03: topics, and the layers of Schemes 3 and 4.
#
# **Time** 60 minutes in all: story 15, reading 10, ratchet 10, insider 10, costs 6, sockets 5, questions 4.
#
# **Threat model** A curious broker; an outsider who records everything on the network; and *members*: one who left and keeps
# its keys, one who joins and has recorded what came before, one who forges.
#
# **Ethics** Everything runs on this machine, in memory or on the loopback interface. Forge only where all systems are your own.
#
# **Sources** Chien, Shih, Huang, *Exploring MQTT Broker-Based, End-to-End Models for Security and Efficiency*, Sensors
# 25(17):5308, 2025: Schemes 3 and 4, which give out group keys and leave their management open. What we do about it is the
# profile *hardened*.

# %% id=start
from mqttsec import labs

lab = labs.GroupKeys(seed=7)
check = lab.check
lab

# %% [markdown] id=story
# ## 1 A group that changes
#
# In Schemes 3 and 4 the station draws **GK_P** and *wraps* it for each member: seals it under K_PSi, the key the two share.
# The broker does the same with **GK_B**. Under `published` that is all. Under `hardened` a key is in use for one **epoch**,
# `generation.step`: each join is a *step*, each leave begins a new *generation* with a fresh secret.
#
# All members, also those who left, keep every key they ever got, and have recorded every message. **Predict** before you
# move *Event*: what can the phone read after it left? Then choose `published`.

# %% id=explore
lab.explore()

# %% [markdown] id=story-look
# **Look for** event 8: a member joins, and nobody but the new one gets a wrap. Event 10: one leaves, and each who stays
# gets one. Event 12: the logger was offline all the time, and reads everything.
#
# The same as text, first hardened, then published:


# %% [markdown] id=teacher-story tags=teacher
# **For teachers**, the prediction: message 1, which was sent while it was a member, and none after; under `published` all
# four. Misconception: that "no longer a member" means "can no longer decrypt". Only a fresh key brings that about.

# %% id=story-text
lab.story(event=12)

# %% id=story-published
print(lab.story(event=12, profile="published").grid())

# %% [markdown] id=offline
# While the logger was offline its wrap waited at the broker, as its messages did. Before it came, and after:

# %% id=offline-before
print(lab.story(event=11).grid().where(lambda row: row["who"] == "logger"))

# %% id=offline-after
print(lab.story(event=12).grid().where(lambda row: row["who"] == "logger"))

# %% [markdown] id=reading
# ## 2 Who can read it?
#
# ### Exercise 1: predict
#
# Another story, `hardened`. At its end, who can read which of the four messages, with the keys that each then has?

# %% id=events
lab.events()

# %% id=answer-1
readers = {1: ..., 2: ..., 3: ..., 4: ...}
### BEGIN SOLUTION
readers = {
    1: {"phone", "logger", "display"},
    2: {"logger", "display"},
    3: {"logger", "display", "dashboard"},
    4: {"dashboard"},
}
### END SOLUTION
check.exercise_1(readers)

# %% [markdown] id=teacher-1 tags=teacher
# **For teachers** (7 minutes). Expected with seed 7: 1 phone, logger, display; 2 logger, display; 3 these and dashboard; 4
# dashboard alone. Other seeds have other names, and the check tells the story anew. The subtle one is message 3: who is offline
# reads it, since a *join* needs no wrap; message 4 waits for the wrap of the new generation. Misconception: that a leave takes
# back what was read before. No key is ever taken back.

# %% [markdown] id=ratchet
# ## 3 The ratchet
#
# A step is HKDF, a one-way function: from the secret of step 4 everybody who has it makes that of step 5, and nobody goes
# back. So a join costs no message to the others, and the new member cannot read what was said before.

# %% id=ratchet-show
lab.ratchet()

# %% [markdown] id=exercise-2
# ### Exercise 2: what a join and a leave cost
#
# How many wraps does the *station* make when one joins, and when one leaves, in a group of this size before it?

# %% id=size
print(lab.n, "members")

# %% id=answer-2
wraps = {"join": ..., "leave": ...}
### BEGIN SOLUTION
wraps = {"join": 1, "leave": lab.n - 1}
### END SOLUTION
check.exercise_2(wraps)

# %% [markdown] id=exercise-3
# ### Exercise 3: turn it
#
# Write how a member catches up: it holds `secret` of step `now` and wants that of step `wanted`. `step(secret, number)` is one
# turn and gives the secret of step `number`. There is no way back: return `None` then. The check opens a real message.

# %% id=answer-3
def catch_up(secret, now, wanted, step):
    """The secret of step `wanted`, None if there is no way to it."""
    ### BEGIN SOLUTION
    if wanted < now:
        return None
    for number in range(now + 1, wanted + 1):
        secret = step(secret, number)
    return secret
    ### END SOLUTION


check.exercise_3(catch_up)

# %% [markdown] id=teacher-3 tags=teacher
# **For teachers** (8 minutes). Expected in exercise 2: 1 and n - 1, and the broker does as many; misconception: that a join
# costs a wrap for everybody, or that who leaves gets one too. Expected in exercise 3: one turn for each step, and None backwards;
# misconceptions: one turn with the last number, and turning the first secret each time. Ask why a *leave* cannot be a step: who
# leaves could take it too.

# %% [markdown] id=insider
# ## 4 The insider
#
# A tag under a group key says: somebody in the group made it. The phone takes a genuine message apart with its keys and
# puts the same layers round `99.9`, "from the station, through the broker":

# %% id=forge
for signed in (False, True):
    forgery = lab.forge(sign=signed)
    print(f"signed messages {signed!s:<5}  keys {len(forgery.keys)}  {forgery.outcome}")

# %% [markdown] id=insider-look
# `hardened` can have the station sign each message; a tag is then not enough. All forgers side by side:

# %% id=forgeries
lab.forgeries()

# %% [markdown] id=exercise-4
# ### Exercise 4: what a forger needs
#
# Which keys does the phone need, at least, so that the dashboard believes it? The phone injects the message on the network,
# between broker and dashboard. The check lets it forge with exactly these.

# %% id=answer-4
needed = ...
### BEGIN SOLUTION
needed = {"GK_P", "GK_B"}
### END SOLUTION
check.exercise_4(needed)

# %% [markdown] id=teacher-4 tags=teacher
# **For teachers** (5 minutes). Expected: GK_P for the inner layer, GK_B for the outer. Misconception: that the tag proves the
# sender; it proves a member. Ask what changes if the phone *publishes* the forgery through the broker instead: then it needs a
# K_PB of the station. And: in Schemes 1 and 2, who could forge to the dashboard? (Nobody but the station: K_PSi is theirs alone.)
# The prediction of section 6: the two wraps of *phone leaves* become 0, and the phone reads message 2.

# %% [markdown] id=costs
# ## 5 What it costs
#
# The signature, in operations of one message:

# %% id=signature
lab.signature_cost()

# %% [markdown] id=signature-times-note
# And in time on this machine, which differs from run to run:

# %% id=signature-times tags=nbval-ignore-output
lab.signature_times()

# %% [markdown] id=rekeying
# And the changes of the group, by its size: a join is a step of the ratchet, a leave n - 1 wraps at the station, and as many at
# the broker.

# %% id=rekey-costs
lab.rekey_costs()

# %% [markdown] id=sockets
# ## 6 Over real sockets
#
# The same with a broker on a TCP port and paho clients: three join, the station says something, the phone leaves and keeps
# its keys, the station says something again. The phone has recorded what went to the others.

# %% id=sockets-hardened
lab.over_sockets()

# %% [markdown] id=sockets-predict
# **Predict** which cells differ under `published`.

# %% id=sockets-published
lab.over_sockets(profile="published")

# %% [markdown] id=questions
# ## 7 What have you learned?
#
# Answer with a letter in place of `...`.

# %% id=questionnaire
print(check.questions())

# %% id=answers
answers = [..., ..., ..., ..., ...]
### BEGIN SOLUTION
answers = ["b", "a", "c", "a", "b"]
### END SOLUTION
lab.answer(answers)

# %% [markdown] id=further
# **Further reading**
#
# - RFC 2627, *Key Management for Multicast: Issues and Architectures*, 1999: key trees, where a leave costs log n.
# - RFC 9420, *The Messaging Layer Security (MLS) Protocol*, 2023: groups, epochs and ratchets as messengers use them.
#
# Your report: put your name in. It writes a JSON and a CSV file to `out/`; your teacher runs the notebook again.

# %% id=report
lab.report("Your Name")
