# %% [markdown] id=title
# # 08 Proofs
#
# "Verified" is a strong word. You ask a machine every question about the handshake, get attacks with all their steps, run
# them on the real broker, and learn what a machine that says *safe* has really said.
#
# **You will**
# - ask a model checker whether the handshake keeps its promises, against six kinds of trouble
# - predict who gets whose key wrong, and check it against all runs up to a bound
# - run the attacks that are found, on the machines and on a live broker
# - repair the handshake with the fewest signed fields, and explain why SIGMA and TLS 1.3 sign what they sign
# - say what a bounded symbolic result means, and what it does not
#
# **Prerequisites** Lab 02. What a signature and a Diffie-Hellman exchange are; no logic.
#
# **Time** 70 minutes in all: asking 15, misbinding 15, live 5, settings 10, safeguards 10, repair 10, questions 5.
#
# **Threat model** Dolev and Yao's: the intruder owns the network. An *insider*, mallory, has a certificate like everybody; as
# *publisher*, *broker* or *subscriber* she has one for that part only. Cryptography is perfect.
#
# **Ethics** Everything runs on this machine, in memory or on the loopback interface. Attack only systems that are your own.
#
# **Sources** Chien, Shih, Huang, Sensors 25(17):5308, 2025, section 5.2 (HLPSL, SPAN/OFMC). Dolev, Yao, 1983; Lowe, 1996,
# 1997; Krawczyk, *SIGMA*, 2003; RFC 8446 (TLS 1.3); Clavel et al., *All About Maude*, 2007.

# %% id=start
from mqttsec import labs

lab = labs.Proofs(seed=7)
check = lab.check
lab

# %% [markdown] id=asking
# ## 1 Ask the model
#
# The **model** is made from the same step data that the parties run: who sends what, what each signature covers, what is
# checked. The engine, Maude, tries *every* way in which a few runs of alice, the broker and bob can be mixed by an
# intruder who may repeat, redirect and build whatever a party would accept.
#
# | goal | X-Y means: when X is done with Y, an honest one, then |
# |:---|:---|
# | secrecy | nobody else can have the key |
# | aliveness | Y has taken part in something |
# | agreement | Y has run with X, on the same key |
# | once | each such run of X stands for a run of Y (with agreement: *injective*) |
# | binding | nobody has the key under another's name (fails by *identity misbinding*) |
# | pairing | if Y runs with X, then on this key (fails when parallel runs are *mixed*) |
#
# P is alice, B the broker, S bob. **Predict**, then ask: is K_PB secret? Does alice agree with the broker?

# %% id=explore
lab.explore()

# %% [markdown] id=asking-look
# **Look for** the number of *instances*: how many runs an attack needs. One run of alice and one of the broker are two; *P1*
# is a run of P's in Block 1, *B2* one of B's in Block 2, a second number counts them. The same as text, for two questions:

# %% id=ask-secrecy
lab.ask("published", "insider", "secrecy K_PB")

# %% id=ask-agreement
lab.ask("published", "outsider", "agreement P-B")

# %% [markdown] id=asking-after
# The first is *safe*, even against an insider. The second needs no insider and no secret: alice connects twice at
# once, and the broker's answer to the one is given to the other. Nobody reads anything; both are wrong.

# %% [markdown] id=misbinding
# ## 2 Whose key is it?
#
# The classic of key agreement: both have the same key, nobody else has it, and they do not agree *with whom*. mallory
# signs alice's ephemeral key as her own. Step through it, packet by packet:

# %% id=step
lab.step("published", "publisher", "binding P-B")

# %% [markdown] id=misbinding-look
# **Look for** the fields of the Authentication Data in the second packet: the same R_P, and another name, signature and
# certificate. The same as text:

# %% id=step-text
print(lab.ladder("published", "publisher", "binding P-B"))

# %% [markdown] id=exercise-1
# ### Exercise 1: who is misbound?
#
# *published*, and mallory has a certificate as a publisher, as a broker, or as a subscriber. In which directions does
# *binding* fail, with up to 3 instances? Think of what each signature leaves out, then write sets of directions.

# %% id=signed
lab.signed()

# %% id=answer-1
misbound = {"publisher": ..., "broker": ..., "subscriber": ...}
### BEGIN SOLUTION
misbound = {
    "publisher": {"P-B"},
    "broker": {"B-P", "B-S", "S-P", "P-S"},
    "subscriber": {"S-B", "S-P"},
}
### END SOLUTION
check.exercise_1(misbound)

# %% [markdown] id=exercise-1-table
# All intruders, and *hardened* beside it; a digit is the size of the smallest attack:

# %% id=table
lab.table("published", "hardened")

# %% [markdown] id=teacher-1 tags=teacher
# **For teachers** (10 minutes). A publisher takes over alice's R_P at the broker (P-B); a subscriber takes over bob's halves at
# the broker and at alice (S-B, S-P); a broker passes CONNECT on to the honest broker (B-P, B-S). S-P and P-S with a dishonest
# broker are of another kind: alice and bob share a key and name each other rightly, but not the same broker; that is why
# *hardened* has B in the request. Misconception: that misbinding is harmless since mallory cannot read. What alice sends is
# *attributed* to mallory.

# %% [markdown] id=live
# ## 3 Run it
#
# An attack in a model may be an artefact of the model. These are not: each was run on the machines before it was shown. Now
# against a live MQTT 5 broker, on a TCP port of this machine:

# %% id=live-misbinding
print(lab.live("published", "publisher", "binding P-B"))

# %% id=live-replay
print(lab.live("no replay cache", "outsider", "once B-P"))

# %% [markdown] id=settings
# ## 4 What "safe" depends on
#
# The paper reports SAFE from OFMC for its stated goals. Its model is not printed, so it cannot be run again here. But the
# goals *do* hold in a natural setting: one run of each role, nobody dishonest, one block at a time. Secrecy holds
# in all settings. These standard, stronger settings give the attacks:

# %% id=settings-table
lab.settings()

# %% [markdown] id=settings-look
# **Look for** the first two rows. So "verified" is a sentence with three blanks: *which goals*, against *whom*, with *how many
# runs*. And a fourth: for which model. What this one does not know: timing, guessed or repeated random numbers, weak curves,
# confusion of values of different sorts, a second honest party of a kind, defects of the code. *safe* says nothing beyond
# the bound; *attack* is certain, once it has been run.
#
# Is the engine itself right? It must find what is known about others:

# %% id=classics
lab.classics()

# %% [markdown] id=safeguards
# ## 5 Which safeguard stops what
#
# Each row is the handshake with some safeguards; each cell the smallest attack on *pairing*, then on *binding*.

# %% id=pairing
variants = "tags only", "names, own ephemeral", "ephemerals, no names"
lab.table(*variants, property="pairing", intruders=("outsider", "publisher"))

# %% id=binding
lab.table(*variants, property="binding", intruders=("outsider", "publisher"))

# %% [markdown] id=exercise-2
# ### Exercise 2: why SIGMA and TLS 1.3 sign what they sign
#
# TLS 1.3 signs a context string and a hash over both key shares, and authenticates names by *Finished*; SIGMA adds a MAC over
# the own name. Which safeguard stops which of `"mixed runs"`, `"misbinding"`, `"confusion"` (a signature made for one message
# passes as another)? The check asks the model for each.

# %% id=answer-2
stops = {"peer's ephemeral key": ..., "names": ..., "tag": ...}
### BEGIN SOLUTION
stops = {"peer's ephemeral key": "mixed runs", "names": "misbinding", "tag": "confusion"}
### END SOLUTION
check.exercise_2(stops)

# %% [markdown] id=teacher-2 tags=teacher
# **For teachers** (5 minutes). The peer's ephemeral key: mixed runs; names: misbinding; the tag: confusion. Misconception: that
# one safeguard does it all, or that more signed fields are always better. Let them find each in the two tables: the row that
# has it, and the digit that is gone.

# %% [markdown] id=repair
# ## 6 Repair it
#
# ### Exercise 3: with the fewest fields
#
# Block 1 of *published* has got a replay cache. Choose what the two signatures cover, so that every goal of Block 1 holds
# against an insider (3 instances), and old ephemeral keys, once leaked, are of no use. As few fields as you can. The names are
# those of lab 02; *c1* and *c2* are the tags of the two messages.

# %% id=fields
lab.fields()

# %% id=answer-3
covers = {"CONNECT": ..., "CONNACK": ...}
### BEGIN SOLUTION
covers = {"CONNECT": ["B", "R_P", "T_P"], "CONNACK": ["P", "R_B", "R_P"]}
### END SOLUTION
check.exercise_3(covers)

# %% [markdown] id=teacher-3 tags=teacher
# **For teachers** (10 minutes). Six fields: to whom, the own ephemeral key, and what makes it fresh: a time in the first
# message, the peer's ephemeral key in the second. The own name is in the certificate; tags are needed only where shapes
# collide, and here they do not: that is *why* one signs tags all the same, since nobody wants to think about shapes. Ask what
# changes when Block 2 is added. *hardened* signs more than it must, on purpose. Misconception: that the certificate says for
# whom a message is meant; it says from whom.

# %% [markdown] id=questions
# ## 7 What have you learned?
#
# Answer with a letter in place of `...`.

# %% id=questionnaire
print(check.questions())

# %% id=answers
answers = [..., ..., ..., ..., ..., ...]
### BEGIN SOLUTION
answers = ["b", "a", "c", "a", "b", "b"]
### END SOLUTION
lab.answer(answers)

# %% [markdown] id=further
# **Further reading**
#
# - G. Lowe, *A Hierarchy of Authentication Specifications*, 1997: aliveness, agreement, injective agreement.
# - H. Krawczyk, *SIGMA: the 'SIGn-and-MAc' Approach*, 2003. RFC 8446, 4.4: what TLS 1.3 signs.
# - `mqttsec verify --all` prints the whole table; `--export tamarin`, `proverif` or `hlpsl` the model for these tools, where
#   proofs are not bounded. (We could not run them here: the text is checked for its syntax only.)
#
# Your report: put your name in. It writes a JSON and a CSV file to `out/`; your teacher runs the notebook again.

# %% id=report
lab.report("Your Name")
