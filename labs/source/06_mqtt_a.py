# %% [markdown] id=title
# # 06 MQTT-A: who talks to whom
#
# Encryption hides what is said. A network of bridge brokers hides who says it to whom: each broker draws lots whether to
# pass a message on to a peer or to the public broker. You follow a message draw by draw, and find out what goes wrong.
#
# **You will**
# - follow a message and a subscription through the network, and predict how long their paths are
# - say what each broker on the path knows, and what none of them knows
# - compare three ways to treat subscriptions that cross, and watch messages circulate
# - find subscriptions that a rule of the paper loses, and see them mended
# - choose a forwarding probability for a latency budget
#
# **Prerequisites** Lab 01. A little probability: what a mean is.
#
# **Time** 60 minutes in all: one message 15, what is known 10, crossings 10, loops 10, the price 10, questions 5.
#
# **Threat model** A curious public broker; bridge brokers that look at what passes, alone. Several together: lab 07.
# Topics and payloads are visible to every broker on the way here; lab 09 hides them as well.
#
# **Ethics** Everything runs on this machine, in memory. Anonymity protects people; observe only systems that are your own.
#
# **Sources** Buccafurri, De Angelis, Lazzaro, *MQTT-A: A Broker-Bridging P2P Architecture to Achieve Anonymity in MQTT*,
# IEEE Internet of Things Journal 10(17), 2023.

# %% id=start
from mqttsec import labs

lab = labs.MqttA(seed=20)
check = lab.check
lab

# %% [markdown] id=message
# ## 1 One message
#
# First, who is there: **bridge brokers** (B_R), which are each other's peers, a **public broker** (B_P), which hosts the
# topics, and **discovery brokers** (B_D). A bridge broker that joins asks one discovery broker, at random, for its peers and
# for the public broker of each topic, and announces itself. What one discovery broker hears, the others hear from it.

# %% id=network
lab.network()

# %% [markdown] id=message-rule
# **Look for** who asked whom, and that all know the same in the end.
#
# A client that wants to hide publishes to **T_F/T_A** at its bridge broker: T_A is the actual topic, T_F a prefix that asks
# for the network. The first bridge broker passes the message on to a random peer. Each next one draws **R** between 0 and 1:
# if R <= **p_f**, on to a random peer; else to the public broker. Subscriptions go the same way, and every broker on the way
# remembers where one came from.
#
# **Predict**: with p_f = 0.65, how many brokers will a message come to? Then let the path grow with *Step*.

# %% id=explore
lab.explore()

# %% [markdown] id=message-look
# **Look for** the draw on each arrow (solid: to the public broker; dotted: a subscription; dashed: back along it), and for a
# broker to which a path comes twice. Set *What* to another message: its path has nothing to do with the last one. Who is
# whose peer is drawn faintly: everybody is everybody's.
#
# The same as text:

# %% id=send
lab.send(message=1)

# %% id=subscription
lab.send(message=0)

# %% [markdown] id=exercise-1
# ### Exercise 1: the mean path length
#
# The length counts the links from the first bridge broker to the public broker; the client's own link does not count. What
# is its mean for your p_f (it stands under the first cell)?

# %% id=answer-1
mean_length = ...
### BEGIN SOLUTION
from mqttsec.labs.mqtt_a_exercises import task_p_f

mean_length = 1 / (1 - task_p_f(lab.seed)) + 1
### END SOLUTION
check.exercise_1(mean_length)

# %% [markdown] id=lengths-text
# How the lengths are spread: 200 messages, at another p_f, beside what theory expects of them.

# %% id=lengths
lab.lengths(p_f=0.65)

# %% [markdown] id=teacher-1 tags=teacher
# **For teachers** (6 minutes). P(L = l) = (1 - p_f) p_f^(l-2), so L - 1 is geometric: 1/(1 - p_f) + 1. Slips that the check
# names: forgetting the first forwarding, counting the client's link, 1/p_f, 1 + p_f. Seed 20: p_f = 0.75, so 5. The
# check sends 400 messages and accepts what lies within three standard errors. Misconception: that most paths are about as long
# as the mean. The commonest length is 2, and the longest surprises: let them look at the tail.

# %% [markdown] id=knowledge
# ## 2 What each broker knows
#
# A broker sees from which connection a message came, and to which one it goes. This is what the logs of all brokers say
# after the four messages and the subscription:

# %% id=knows
lab.knows()

# %% [markdown] id=exercise-2
# ### Exercise 2: who knows whom?
#
# Which bridge brokers know who the publisher is, which the subscriber, which both? *Knows* means: its own log names the
# client.

# %% id=answer-2
known_to = {"publisher": ..., "subscriber": ..., "both": ...}
### BEGIN SOLUTION
known_to = {"publisher": {"b1"}, "subscriber": {"b8"}, "both": set()}
### END SOLUTION
check.exercise_2(known_to)

# %% [markdown] id=knowledge-break
# **Break it**: put station and dashboard at the same broker in your mind. What would that one know? And what if *n* is 3
# and the path comes back to the first broker, which then sees its own message again: what does it learn?

# %% [markdown] id=teacher-2 tags=teacher
# **For teachers** (5 minutes). {"b1"}, {"b8"}, none. Misconception: that a broker which got a message from b1 knows the
# station; it cannot tell whether b1 is the first. How *likely* it is, is lab 07: that is why we say "knows" here.

# %% [markdown] id=crossings
# ## 3 Where paths cross
#
# Two readers want the same topic, and their paths meet at a broker. **Blind**: every subscription goes its own way.
# **Topic-aware**: the later one joins the path of the first, and a message that comes by is published to both at once.
# **Topic-and-QoS-aware**: the same, by classes of QoS, so that QoS 2 readers get nothing twice.

# %% id=crossing-table
lab.crossings()

# %% [markdown] id=crossings-look
# The columns: how many subscriptions reached the public broker; how many different messages each reader got, and how many
# copies; over how many hops they were carried back; and how many messages ran in a circle.
#
# **Look for** the first row, which follows the words of the paper: forwarding state by topic alone. Two subscriptions feed
# each other, and messages circulate and multiply. The lab stops them after some time; a real network would not. The mended
# rules give every hop of every subscription a token of its own. The paths:

# %% id=crossing-paths
lab.crossing_paths()

# %% [markdown] id=exercise-3
# ### Exercise 3: read the table
#
# With which strategies does only one subscription reach the public broker? And how many copies did reader-1 get in the
# first row? The names of the strategies are those of the table, without the rules.

# %% id=answer-3
one_subscription = ...
copies = ...
### BEGIN SOLUTION
one_subscription = {"topic-aware", "topic-and-qos-aware"}
copies = lab.crossing("blind", "published").copies[0]
### END SOLUTION
check.exercise_3(one_subscription, copies)

# %% [markdown] id=teacher-3 tags=teacher
# **For teachers** (5 minutes). Topic-aware, topic-and-QoS-aware; seed 20: 100 copies. Draw the cycle: A-X-Y-public and B-Y-X-public; X and Y are
# each other's client for the topic, so what one gets the other gets back. *Carried back* counts every hop of a copy: the
# topic-aware strategy pays for its quick delivery with copies inside the network, which the brokers recognise and drop.
# Misconception: that QoS 2 rules out duplicates. It does so on each hop, and each hop is one of its own.

# %% [markdown] id=loops
# ## 4 A subscription that bites its tail
#
# The paper stops a subscription that comes to a broker a second time: "its packet identifier was seen". The path ends
# there, before the public broker, and nobody is told. These are the brokers that twelve subscriptions came to:

# %% id=loop-paths
lab.subscription_paths()

# %% [markdown] id=exercise-4
# ### Exercise 4: find the lost subscriptions
#
# A message is published to each of the twelve topics. Who will wait in vain?

# %% id=answer-4
lost = ...
### BEGIN SOLUTION
lost = set()
for path in lab.subscriptions().paths:
    brokers = [hop.bridge for hop in path.hops]
    if len(set(brokers)) < len(brokers):
        lost.add(path.source)
### END SOLUTION
check.exercise_4(lost)

# %% [markdown] id=loops-mended
# The mending: a random token in place of the packet identifier, new at every hop. A path may then come back to a broker,
# which does not know it again, and goes on until a draw ends it.

# %% id=losses
lab.losses()

# %% [markdown] id=teacher-4 tags=teacher
# **For teachers** (6 minutes). Lost are the paths on which a broker stands twice. In theory about 43 % for n = 10 and
# p_f = 0.67 if a broker may pick itself, 30 % if not; the table has 100 subscriptions, so expect five percent of noise.
# Misconception: that a SUBACK means that the subscription is in place; the first broker sent it long before. Ask what is
# worse: a lost subscription, or that nobody notices?

# %% [markdown] id=price
# ## 5 The price
#
# Every hop takes half a round trip. The plot measures the mean latency at nine forwarding probabilities, with one side
# anonymous and with both, on real brokers under a virtual clock. Press **Run**; **Stop** ends it.

# %% id=plot
lab.latency_plot()

# %% [markdown] id=price-look
# **Look for** the shape: not a line, 1/(1 - p_f). And for the two curves: one side costs half of what both cost, above
# plain MQTT. The same as text, beside the model that fits the figures of the paper (whose brokers took some time):

# %% id=latencies
lab.latencies()

# %% [markdown] id=exercise-5
# ### Exercise 5: p_f for a budget
#
# A larger p_f hides more and takes longer. Which one fits these numbers? Two decimals will do.

# %% id=budget
print(lab.budget())

# %% id=answer-5
my_p_f = ...
### BEGIN SOLUTION
from mqttsec.labs.mqtt_a_exercises import budget, largest_here

my_p_f = int(100 * largest_here(*budget(lab.seed))) / 100
### END SOLUTION
check.exercise_5(my_p_f)

# %% [markdown] id=teacher-5 tags=teacher
# **For teachers** (6 minutes). RTT/(1 - p_f) + RTT <= bound, so p_f <= 1 - RTT/(bound - RTT). Seed 20: 0.75. The check runs
# 200 messages. Misconception: that latency grows evenly with p_f; from 0.8 to 0.9 it nearly doubles. Why "the largest"? A larger
# p_f resists more collaborators, up to a point: lab 07 asks how much.

# %% [markdown] id=questions
# ## 6 What have you learned?
#
# Answer with a letter in place of `...`.

# %% id=questionnaire
print(check.questions())

# %% id=answers
answers = [..., ..., ..., ..., ...]
### BEGIN SOLUTION
answers = ["a", "b", "c", "b", "b"]
### END SOLUTION
lab.answer(answers)

# %% [markdown] id=further
# **Further reading**
#
# - Reiter, Rubin, *Crowds: Anonymity for Web Transactions*, 1998: where the draws come from.
# - Dingledine, Mathewson, Syverson, *Tor: The Second-Generation Onion Router*, 2004: paths that the client chooses itself.
# - What collaborating brokers still find out: lab 07. Contents hidden as well: lab 09.
#
# Your report: put your name in. It writes a JSON and a CSV file to `out/`; your teacher runs the notebook again.

# %% id=report
lab.report("Your Name")
