# %% [markdown] id=title
# # 09 Capstone: Scheme 4 over MQTT-A
#
# Scheme 4 hides what is said, MQTT-A who says it to whom. You run both together, look at what every party really had
# in its packets afterwards, and find out what is still left to those who pool what they know.
#
# **You will**
# - predict what the public broker has of a message in five systems, and look
# - find the packet that gives a hidden name away, and see it mended
# - name the smallest set of brokers that finds out who talks to whom
# - tell who notices a changed message, and who does not
# - design a system for requirements on contents, names, collaborators and latency
#
# **Prerequisites** Labs 03 and 06; lab 07 for the bound of exercise 5.
#
# **Time** 60 minutes in all: five systems 15, names 10, together 12, changes 8, design 10, questions 5.
#
# **Threat model** Curious bridge brokers, a curious public broker with the scheme's B beside it, a stranger who subscribes to
# everything; each alone, then several together. In section 4 a bridge broker that changes what it passes on.
#
# **Ethics** Everything runs on this machine, in memory. Hiding who speaks protects people, and can be abused. Use it, and
# attack it, only on systems that are your own.
#
# **Sources** Chien, Shih, Huang, Sensors 25(17):5308, 2025 (Scheme 4); Buccafurri, De Angelis, Lazzaro, IEEE Internet of Things
# Journal 10(17), 2023 (MQTT-A). That the two are put together is ours.

# %% id=start
from mqttsec import labs

lab = labs.Capstone(seed=7)
check = lab.check
lab

# %% [markdown] id=systems
# ## 1 Five systems
#
# The station sends three readings to two readers: by plain MQTT, under Scheme 4, through MQTT-A, and by both, once with
# certificates that bear real names and once with pseudonyms.
#
# How does a scheme with handshakes run over a network that forwards publications and subscriptions only? The messages,
# signatures and keys of Scheme 4 are the same; their carrier is PUBLISH. B is a client beside the public broker. What is meant
# for a party goes to a topic that the party drew at random, and has subscribed to through the network:

# %% id=messages
lab.messages()

# %% [markdown] id=exercise-1
# ### Exercise 1: predict
#
# What does the **public broker** have after each run: can it read a reading (`"reads"`)? Does a real name stand in its packets
# (`"names"`)? Give a set for each; `set()` if neither. The systems: plain MQTT, Scheme 4, MQTT-A (`network`), and both
# together, with real names (`both_named`) and with pseudonyms (`both`).

# %% id=answer-1
public_broker = {"plain": ..., "scheme": ..., "network": ..., "both_named": ..., "both": ...}
### BEGIN SOLUTION
public_broker = {"plain": {"reads", "names"}, "scheme": {"names"}, "network": {"reads"}}
public_broker |= {"both_named": {"names"}, "both": set()}
### END SOLUTION
check.exercise_1(public_broker)

# %% [markdown] id=systems-look
# No theory here: the bytes of each party's own packets are searched, with every key from its memory.

# %% id=system-table
lab.systems()

# %% [markdown] id=teacher-1 tags=teacher
# **For teachers** (8 minutes). The surprise is the fourth row: everything is encrypted, everything goes through the network, and
# the names are there. Ask before showing section 2. *Brokers between* are those that no party is a client of. Misconception:
# that encryption hides names; a certificate has to be readable before there is a key.

# %% [markdown] id=eyes
# Look through any pair of eyes. The picture shows the last reading as far as that party carried it.

# %% id=explore
lab.explore()

# %% [markdown] id=eyes-look
# **Look for** the station's own broker, *b1*, in the last system: it has a name **and** a pseudonym. Then for a broker in
# between: what does it have? The same as text, and for all parties (*pairs*: who asks for whom, by pseudonym or name; *by real
# name*: those of which it has both names):

# %% id=see
lab.see("both", "b1")

# %% id=threats
lab.threats("both")

# %% [markdown] id=names
# ## 2 Where a name leaks
#
# ### Exercise 2: find it
#
# In the system `both_named` the public broker has the station's name, though the station never connected to it. In which kind of
# message does the name come **first**? (The kinds stand in the first table.)

# %% id=answer-2
leak = ...
### BEGIN SOLUTION
leak = "hello"
### END SOLUTION
check.exercise_2(leak)

# %% id=kinds
for kind, named in lab.kinds("both_named"):
    print(f"{kind:<16}{'has the name' if named else ''}")

# %% [markdown] id=names-mended
# Scheme 4 authenticates: that needs a certificate, and a certificate bears a name. Here the authority has given each party one
# for a **pseudonym**. Who may join is still checked; who it is, the authority alone knows.

# %% id=kinds-mended
named = [kind for kind, has_the_name in lab.kinds("both") if has_the_name]
print(f"{len(named)} kinds of messages with the station's name")

# %% [markdown] id=teacher-2 tags=teacher
# **For teachers** (5 minutes). *hello*: the certificate. Later ones repeat it (*answer*), or have the name in the header of a
# layer (*data*). Misconception: that the name leaks from the topic or the Client Identifier; the station has none there. Worth
# a word: Scheme 4's inner layer encrypts the reading only, not its header.

# %% [markdown] id=together
# ## 3 Who finds out together
#
# Alone, nobody knows by real names that the station talks to the dashboard. But some brokers know whose pseudonym is whose, and
# some saw who asked for whom.
#
# ### Exercise 3: the smallest set
#
# Which brokers, as few as possible, know together that *station* publishes to *dashboard*? The table of all parties above has
# what you need.

# %% id=answer-3
brokers = ...
### BEGIN SOLUTION
homes = lab.outcome("both").homes
brokers = {homes["station"], homes["dashboard"]}
### END SOLUTION
check.exercise_3(brokers)

# %% id=coalitions
lab.coalitions()

# %% [markdown] id=together-break
# **Break it**: would a new pseudonym for each day help against these two? Against the public broker, which sees the same two
# pseudonyms every day?

# %% [markdown] id=teacher-3 tags=teacher
# **For teachers** (7 minutes). The two home brokers: each knows its client's pseudonym, and the dashboard's home has read the signed
# request, in which both pseudonyms stand. The public broker adds nothing: it has pseudonyms without names. Crowds has the same limit: the
# local eavesdropper. Seed 7: b1 and b4. Misconception: that more brokers always know more; here two are enough, and no other
# two. Remedy to discuss: the client runs its own bridge broker.

# %% [markdown] id=changes
# ## 4 A broker that speaks for the station
#
# A bridge broker on the way changes one bit of a message, or sends a message again.
#
# ### Exercise 4: who notices?
#
# Say `"B"`, `"readers"` or `"nobody"`, for MQTT-A alone (`network`) and for both together (`both`).

# %% id=answer-4
notices = {("network", "changed"): ..., ("network", "replay"): ...}
notices |= {("both", "changed"): ..., ("both", "replay"): ...}
### BEGIN SOLUTION
notices = {key: lab.noticed(*key) for key in notices}
### END SOLUTION
check.exercise_4(notices)

# %% id=attacks
lab.attacks()

# %% [markdown] id=teacher-4 tags=teacher
# **For teachers** (4 minutes). nobody, nobody, B, B. In the combination B notices before a reader is reached: the tag of K_PB over topic,
# epoch and sequence number. Misconception: that anonymity protects from changes; without a tag nobody has anything to check.
# Ask what a broker on the way can still do: drop, and delay.

# %% [markdown] id=design
# ## 5 Design it
#
# ### Exercise 5: choose a system and p_f
#
# A customer's requirements. Which of the five systems, and which p_f?

# %% id=task
print(lab.task())

# %% id=answer-5
system = ...
p_f = ...
### BEGIN SOLUTION
system = "both"
p_f = round(lab.n / (2 * (lab.n - lab.c - 1)) + 0.01, 3)
### END SOLUTION
check.exercise_5(system, p_f)

# %% [markdown] id=teacher-5 tags=teacher
# **For teachers** (6 minutes). p_f from n / (2 (n - c - 1)) to what RTT/(1 - p_f) + RTT allows; the budget leaves a window of about 0.04.
# Seed 7: `both`, from 0.715 to 0.755. Misconception: that a larger p_f is always safer; it is slower, and names do not care.
# What nobody asked for, and is not there: hiding that one takes part at all, and protection from somebody who watches all links.

# %% [markdown] id=questions
# ## 6 What have you learned?
#
# Answer with a letter in place of `...`.

# %% id=questionnaire
print(check.questions())

# %% id=answers
answers = [..., ..., ..., ..., ...]
### BEGIN SOLUTION
answers = ["b", "a", "b", "b", "b"]
### END SOLUTION
lab.answer(answers)

# %% [markdown] id=further
# **Further reading**
#
# - Camenisch, Lysyanskaya, *An Efficient System for Non-transferable Anonymous Credentials*, 2001: certificates that hide the name
#   even from who gave them.
# - Petit, Schaub, Feiri, Kargl, *Pseudonym Schemes in Vehicular Networks: A Survey*, 2015: pools of pseudonyms, and when to change.
# - Chaum, *Untraceable Electronic Mail, Return Addresses, and Digital Pseudonyms*, 1981: where it began.
#
# Your report: put your name in. It writes a JSON and a CSV file to `out/`; your teacher runs the notebook again.

# %% id=report
lab.report("Your Name")
