# %% [markdown] id=title
# # 07 Anonymity
#
# A message goes through a crowd of brokers so that none of them knows whom it comes from. How well does that work? You compute
# it, simulate it, and check both against a real network in which some of the brokers work together.
#
# **You will**
# - derive what one path shows to collaborating brokers, and mend a bound that is printed wrongly
# - read a formula, a simulation and a measurement with their bands in one plot
# - follow an attack over many messages, and see what sticky paths buy
# - accuse a publisher from nothing but logs
# - weigh anonymity against latency
#
# **Prerequisites** Lab 06: how MQTT-A forwards a message.
#
# **Time** 65 minutes in all: the crowd 10, one path 15, the real network 10, over time 15, what it costs 10, questions 5.
#
# **Threat model** Some bridge brokers are curious and pool what they see; they follow the protocol. Also an eavesdropper at
# the publisher's own broker, and a curious public broker.
#
# **Ethics** Everything runs on this machine, in memory. Accuse only publishers of your own.
#
# **Sources** Buccafurri, De Angelis, Lazzaro, IEEE Internet of Things Journal 10(17), 2023 (MQTT-A), section VIII. Reiter, Rubin,
# *Crowds*, ACM TISSEC 1(1), 1998; Diaz, Seys, Claessens, Preneel, PET 2002; Wright, Adler, Levine, Shields, 2002 and 2004.

# %% id=start
from mqttsec import labs

lab = labs.Anonymity(seed=7)
check = lab.check
lab

# %% [markdown] id=crowd
# ## 1 The crowd
#
# There are **n** bridge brokers, and **c** of them collaborate. The publisher's own broker always hands the message to a random peer; each next one
# forwards with probability **p_f**, else it hands the message to the public broker. A collaborator notes from whom it got the message:
# the *predecessor*. The first predecessor may be the publisher's broker, or just somebody on the way.
#
# **Predict** before you move *Messages*: after how many will the collaborators be sure? Then move *Lifetime*, the number of messages
# that share a path.

# %% id=explore
lab.explore()

# %% [markdown] id=crowd-look
# **Look for** the disc in each circle: how much its broker is suspected. One message leaves doubt. After many, one broker
# stands out: the publisher's, *b1*, is there every time, and the others come and go.
#
# The same as text:

# %% id=crowd-one
lab.crowd(messages=1)

# %% id=crowd-twenty
lab.crowd(messages=20)

# %% [markdown] id=one-path
# ## 2 One path
#
# Two events: **H1+**, a collaborator is on the path; **I**, the first of them got the message from the publisher's broker. The
# publisher has *probable innocence* if P(I|H1+) is at most 1/2.
#
# ### Exercise 1: derive P(I|H1+)
#
# A broker may pick itself, so each hop goes to each of the n brokers with probability 1/n. Begin with P(H1+): each hop meets a collaborator
# with c/n, and an honest broker goes on with p. Then ask: at the first hop a collaborator is surely right about its
# predecessor. And if it comes later?

# %% id=answer-1
def initiator_given_hit(n, c, p):
    """P(I|H1+) for n brokers, c of them collaborating, and p_f = p."""
    ### BEGIN SOLUTION
    seen = c / (n - p * (n - c))
    at_once = c / n
    later = (seen - at_once) / (n - c)
    return (at_once + later) / seen
    ### END SOLUTION


check.exercise_1(initiator_given_hit)

# %% [markdown] id=teacher-1 tags=teacher
# **For teachers** (10 minutes). P(H1+) is the geometric series with ratio p(n-c)/n: c/(n - p(n-c)). First hop: c/n, and surely right. Later:
# the predecessor is uniform over the n - c honest ones, the initiator among them. The quotient simplifies to 1 - p(n-c-1)/n. Usual slips: n - c
# for n - c - 1; forgetting the first hop; giving P(I and H1+). Those who are quick derive it for brokers that never pick
# themselves: [(n-1) - p(n-c-2)]/(n-1+p). Misconception: that P(I|H1+) grows with p_f, since a collaborator is met more often.

# %% [markdown] id=network-first
# The next cell first runs a **real network**: 20 bridge brokers in memory, 4 of them collaborate, 50 publishers with 40 messages each. Its
# tally is a point in the plot, with its band; the simulation is the shaded band, the formula the line.

# %% id=explore-path
lab.explore_path()

# %% [markdown] id=path-look
# **Look for** the two curves as p_f grows: a longer path meets a collaborator more often, and tells it less. At p_f = 0.5 P(I|H1+)
# is above 1/2, whatever n: that resists nobody. Variant B, a broker that never picks itself, is a little better.
#
# As text:

# %% id=path-text
lab.one_path()

# %% id=path-b
lab.one_path(n=10, c=3, variant="B")

# %% [markdown] id=entropy
# In bits: how large a crowd of equally likely brokers would hide as well?

# %% id=entropies
lab.entropies()

# %% [markdown] id=adversaries
# And the other adversaries. *Probable innocence* is a statement about collaborators; who sits at your own broker knows you, and the public
# broker learns nothing.

# %% id=adversaries-table
lab.adversaries()

# %% [markdown] id=bound
# ### Exercise 2: the printed bound
#
# Which p_f gives probable innocence? The paper prints: p_f at least (1/2 - 1/n) / (1 - 2/n). Something is missing. Refute it with
# a crowd that satisfies it and has no probable innocence, and write the right bound.

# %% id=answer-2
counterexample = ...
### BEGIN SOLUTION
counterexample = (20, 4, 0.55)
### END SOLUTION


def least_p_f(n, c):
    """The smallest p_f that gives probable innocence against c of n brokers."""
    ### BEGIN SOLUTION
    return n / (2 * (n - c - 1))
    ### END SOLUTION


check.exercise_2(counterexample, least_p_f)

# %% [markdown] id=bound-look
# Both, side by side, and P(I|H1+) where each of them promises 1/2. **Look for** the last rows: from c = n/2 - 1 on nothing helps.

# %% id=bounds
lab.bounds()

# %% [markdown] id=teacher-2 tags=teacher
# **For teachers** (8 minutes). The printed quotient is 1/2 for every n, since c is not in it: (n-2)/(2n) over (n-2)/n. Right: 1 - p(n-c-1)/n <= 1/2,
# so p >= n/(2(n-c-1)). At c = n/2 - 1 that is p_f = 1, a path without end, though the paper calls it feasible. "33 %" of the paper
# needs p_f = 0.75 and n without bound; at 0.67 the limit is 25 %. Expected: any crowd such as (20, 4, 0.55), and n/(2(n-c-1)).
# Misconception: that a crowd that is large enough makes up for a small p_f. At 0.5 no n will do.

# %% [markdown] id=network
# ## 3 The real network
#
# What the collaborators of the network above counted, from their logs alone, beside the theory:

# %% id=network-tally
lab.network()

# %% [markdown] id=exercise-3
# ### Exercise 3: accuse
#
# You are the collaborators. `log` is a list of what all of you saw under one topic: `time`, `broker` (who of you saw it), `previous`
# (from whom), `message` (a fingerprint of the payload, the same wherever you see it). Name the publisher's own bridge broker;
# `collaborators` is a set of your own names.

# %% id=log
log = [line for line in lab.network().log if line.topic == "sensor/1"]
for line in log[:4]:
    print(f"{line.time:8.3f} s  {line.broker:<4} from {line.previous:<4} {line.message}")

# %% id=answer-3
def accuse(log, collaborators):
    """The name of the bridge that is likeliest the publisher's."""
    ### BEGIN SOLUTION
    first = {}
    for line in sorted(log, key=lambda line: line.time):
        if line.message not in first and line.previous not in collaborators:
            first[line.message] = line.previous
    names = list(first.values())
    return max(sorted(set(names)), key=names.count)
    ### END SOLUTION


check.exercise_3(accuse)

# %% [markdown] id=teacher-3 tags=teacher
# **For teachers** (8 minutes). A message may meet several collaborators, and one of them twice; only its earliest line has the first
# predecessor. Slips: counting every line; naming `broker`; naming a collaborator that handed on. Ask why the fingerprint works although the payload is
# encrypted end to end: the bytes stay the same. Re-encrypting at each hop would take that away (and cost what mixes cost).
# Misconception: that who is seen most often is the publisher's: brokers on the way are seen as well, but seldom first.

# %% [markdown] id=time
# ## 4 Over time
#
# Each fresh path is a new look. In every round the publisher's broker is noted with p0 = c/n + q, each other honest one with q: the
# counts drift apart. That is the **predecessor attack**. A **sticky** path is kept for a *lifetime*: messages along it show nothing
# new. **Predict**: how much does a lifetime of 10 messages buy?

# %% id=explore-time
lab.explore_time()

# %% [markdown] id=time-look
# **Look for** the points: the real network's 50 publishers, with bands of 95 %; and for the steps of the sticky paths, one for
# each new path. As text:

# %% id=time-text
lab.over_time()

# %% [markdown] id=exercise-4
# ### Exercise 4: how many messages until you are named?
#
# How many messages until you are named with 95 %, in this crowd, with a fresh path for each? Probable innocence holds in it.
# Use the sliders above, or reason.

# %% id=task
print(lab.task)

# %% id=answer-4
messages = ...
### BEGIN SOLUTION
messages = 80
### END SOLUTION
check.exercise_4(messages)

# %% [markdown] id=exercise-5
# ### Exercise 5: what a sticky path buys
#
# You send 300 messages in that crowd. What is the shortest lifetime with which you are named with at most 50 %?

# %% id=answer-5
lifetime = ...
### BEGIN SOLUTION
lifetime = 15
### END SOLUTION
check.exercise_5(lifetime)

# %% [markdown] id=teacher-5 tags=teacher
# **For teachers** (10 minutes). 80 and 15 for seed 7; `mqttsec.anonymity.messages_until(lab.task)` has it for any. The Chernoff bound is far above it,
# and "noted once with 95 %" far below. Exercise 5: what counts is the number of paths, 300/lifetime rounded up. Misconception: that a
# sticky path is safe. Who is seen on it is seen for all its life, and P(named) never falls below p0.

# %% [markdown] id=more
# Sticky paths end when a broker on them leaves, and those who stay become few. Peers that are picked more often than others say
# more about who picked them. **Look for** the column *suspects left*:

# %% id=more-table
lab.more()

# %% [markdown] id=subscriptions
# And subscriptions that cross: with *topic-aware* routing a broker that has the topic already takes no second subscription further. That saves
# hops. **Look for** what it does to P(I|H1+) of those who come later.

# %% id=subscriptions-table
lab.subscriptions(4)

# %% [markdown] id=costs
# ## 5 What it costs
#
# A longer path takes longer. How much latency does it take to resist a share of collaborators, and what do applications bear? The model
# is T = f (RTT/(1-p_f) + T0), fitted to the paper's measurements.

# %% id=explore-costs
lab.explore_costs()

# %% [markdown] id=costs-look
# **Look for** the pole at one half: a hyperbola, not the exponential of the paper. The flat line is what the printed bound promises.
#
# What each kind of sensor network bears, by round-trip time (the paper's Fig. 12), as plot and as text:

# %% id=limits-plot
lab.limits_plot()

# %% id=limits
lab.limits()

# %% [markdown] id=questions
# ## 6 What have you learned?
#
# Answer with a letter in place of `...`.

# %% id=questionnaire
print(check.questions())

# %% id=answers
answers = [..., ..., ..., ..., ..., ...]
### BEGIN SOLUTION
answers = ["b", "c", "a", "b", "a", "c"]
### END SOLUTION
lab.answer(answers)

# %% [markdown] id=further
# **Further reading**
#
# - Danezis, Diaz, Syverson, *Systems for Anonymous Communication*, 2009: a survey.
# - Wright, Adler, Levine, Shields, *The Predecessor Attack*, ACM TISSEC 7(4), 2004.
# - Chatzikokolakis, Palamidessi, *Probable innocence revisited*, 2006.
#
# Your report: put your name in. It writes a JSON and a CSV file to `out/`; your teacher runs the notebook again.

# %% id=report
lab.report("Your Name")
