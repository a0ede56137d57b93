# %% [markdown] id=title
# # 04 The overhead
#
# Four schemes keep a message from the broker. What does each cost? You count, you reckon, and you measure it on this
# machine: real brokers, up to 200 subscribers, a plot that grows while it runs.
#
# **You will**
# - predict which scheme's cost at the broker grows with the number of subscribers, and measure it
# - build a model of the cost out of operation counts, and hold it against the measurement
# - reproduce the order of the schemes that the paper found, and find where it does not hold
# - compare end-to-end schemes with TLS, in work and in what they protect
#
# **Prerequisites** Lab 03: the layers of the four schemes. Lab 02 explains the handshakes, which are not measured here.
#
# **Time** 65 minutes in all: counts 12, model 12, measurement 18, the paper 8, suites 8, TLS 4, questions 3.
#
# **Threat model** As in lab 03: a curious broker, and an outsider on the network. Here we ask only what it costs.
#
# **Ethics** Everything runs on this machine, on 127.0.0.1. Flood no broker that is not your own.
#
# **Sources** Chien, Shih, Huang, *Exploring MQTT Broker-Based, End-to-End Models for Security and Efficiency*, Sensors
# 25(17):5308, 2025: Schemes 1 to 4 and the tables of delays.

# %% id=start
from mqttsec import labs

lab = labs.Overhead(seed=7)
check = lab.check
lab

# %% [markdown] id=counts
# ## 1 Count
#
# **E** is an encryption, **D** a decryption, **H** a tag made or checked. The paper timed **one ciphertext for all**
# (`single_ciphertext`): one end-to-end key, one PUBLISH in, n out. **Predict** the column B, then run:

# %% id=count-table
lab.counts(n=5)

# %% [markdown] id=exercise-1
# ### Exercise 1: count the broker's work
#
# One message, one ciphertext for all, and this many subscribers. What does the broker compute in each scheme?

# %% id=size
print(lab.n, "subscribers")

# %% id=answer-1
broker = {1: ..., 2: ..., 3: ..., 4: ...}
### BEGIN SOLUTION
n = lab.n
broker = {1: "0", 2: f"D + H + {n}E + {n}H", 3: "D + E + 2H", 4: "2H"}
### END SOLUTION
check.exercise_1(broker)

# %% [markdown] id=teacher-1 tags=teacher
# **For teachers** (5 minutes). Expected: 0, D + H + n(E + H), D + E + 2H, 2H. Misconception: that a mode changes the cost of
# the subscribers only; in `per_recipient` the broker of Scheme 2 also decrypts n times. The check names that row, and one
# subscriber instead of n.

# %% [markdown] id=exercise-2
# ### Exercise 2: what grows?
#
# In which schemes does the broker compute more when more subscribe? Compare two sizes before you answer.

# %% id=answer-2
grows = ...
### BEGIN SOLUTION
grows = {2}
### END SOLUTION
check.exercise_2(grows)

# %% [markdown] id=individual
# With **individual end-to-end keys** (`per_recipient`) the n does not go away. **Look for** who has it now:

# %% id=count-individual
lab.counts(n=5, mode="per_recipient")

# %% [markdown] id=model
# ## 2 Reckon
#
# Operations times what each takes, and what a broker needs without any cryptography: that is a model. The costs here
# were recorded on one machine, so that the numbers are the same on yours.

# %% id=model-100
lab.model(n=100)

# %% [markdown] id=model-look
# *B in all* holds taking the message in and writing it n times; *B crypto* is the cryptography in it. **Predict**: at
# which *Bytes* does cryptography outweigh the rest in Scheme 2? And in Scheme 3? Then change *Bytes* and *Subscribers*.

# %% id=explore
lab.explore()


# %% [markdown] id=teacher-model tags=teacher
# **For teachers**, the predictions: in Scheme 2 from 16384 bytes on, whatever n, since both grow with it. In Scheme 3 never
# with 100 subscribers: one layer against 100 writes; with 10 from 65536. Misconception: that cryptography is what is dear.

# %% [markdown] id=exercise-3
# ### Exercise 3: a model of your own
#
# One ciphertext for all, Scheme 2. Putting a layer on takes `on` microseconds, taking one off takes `off`. How many
# microseconds of cryptography does a message to `n` subscribers cost the broker?

# %% id=answer-3
def crypto_us(n, on, off):
    """Microseconds of cryptography at the broker of Scheme 2."""
    ### BEGIN SOLUTION
    return off + n * on
    ### END SOLUTION


check.exercise_3(crypto_us)

# %% [markdown] id=teacher-3 tags=teacher
# **For teachers** (5 minutes). Expected in exercise 2: {2}; misconception: that a delay does not grow where the cryptography
# does not (the broker still writes n times). Expected in exercise 3: off + n * on; misconception: that what is put on n times
# came in n times. The check names once instead of n times, n times for both, and the two exchanged. Ask what Scheme 3 would
# need (off + on), and why its delay still grows with n.

# %% [markdown] id=measure
# ## 3 Measure
#
# Press **Start**: four brokers start, each in a process of its own, and so do 50 subscribers for each of them. Then they
# take turns. The lines are the model on recorded costs, the points are this machine, now. **Stop** ends it at once.
#
# **Predict first**: with twice the subscribers, how much more does a message cost the broker of Scheme 3? Of Scheme 2?
# Then move *Subscribers* and press Start again: what was measured stays in the plot.

# %% id=live
lab.measure()

# %% [markdown] id=measure-look
# **Look for**
# - *Show* `minimum delay`: the broker of Scheme 2 seals all copies before it writes the first, so even the first
#   subscriber waits for all. In the other schemes it does not.
# - *Mode* `per_recipient`: now Scheme 1 is dear as well. The broker takes n packets in, and the publisher seals n times.
# - *Suite* `aes-gcm`: Schemes 3 and 4 cost the same. Section 5 says why.
# - Another program on this machine (also the browser) makes outliers: look at medians, and at several rounds.
#
# The same without the widget, small and short (*1C*: one ciphertext for all):


# %% [markdown] id=teacher-measure tags=teacher
# **For teachers**, the prediction: about twice as much in both; what differs is the slope, some 3 and some 7 microseconds a
# subscriber in the model. Misconception: that a group key makes the broker's work constant. It is the *cryptography* that is.

# %% id=run tags=nbval-ignore-output
lab.run(n=10, rounds=2, scheme="all")

# %% [markdown] id=measure-twin
# And what the model says of the same; nobody measures this one, so it is the same everywhere:

# %% id=model-10
lab.model(n=10)

# %% [markdown] id=exercise-4
# ### Exercise 4: what one more subscriber costs
#
# The broker of Scheme 2 seals all copies before it writes the first, as the paper's seems to have done: the minimum
# grows with n. In the run that was recorded with this lab, by how many microseconds for each further subscriber?

# %% id=minima
lab.minima()

# %% id=answer-4
per_subscriber = ...
### BEGIN SOLUTION
found = lab.minima()
row = next(cells for cells in found.rows if cells[0] == 2)
sizes = [int(name[2:-4]) for name in found.columns[1:]]
per_subscriber = (float(row[-1]) - float(row[1])) / (sizes[-1] - sizes[0])
### END SOLUTION
check.exercise_4(per_subscriber)

# %% [markdown] id=teacher-4 tags=teacher
# **For teachers** (6 minutes). Expected: rise over run, some 5 microseconds; anything within 30 % of the least squares line is
# taken. Misconception: to divide one delay by its n, which puts the cost that does not depend on n into the slope.
# Measurements of the class may differ by factors between machines; the shape may not.

# %% [markdown] id=paper
# ## 4 The paper
#
# The paper's milliseconds are of other machines and another broker. With Scheme 1 = 1 in each row they can be compared. (It
# prints two tables for each number of subscribers, called A and B here.)

# %% id=paper-200
lab.paper(n=200)

# %% id=paper-100
lab.paper(n=100)

# %% id=paper-plot tags=nbval-ignore-output
lab.paper_plot(n=200)

# %% [markdown] id=paper-look
# **Look for** the order S1, S4, S3, S2: it is the paper's and the model's. In a run of ours Schemes 1, 4 and 3 lie so close
# together that a busy neighbour exchanges them; Scheme 2 stands out, more than in the paper. **Why?** Where writing to a
# subscriber takes microseconds, sealing for each of them weighs more.

# %% [markdown] id=suites
# ## 5 Another suite, another order
#
# Scheme 4 saves the broker encryption: it only tags (**I**). Scheme 3 encrypts and tags (**EI**). What does that save?

# %% id=layers
lab.layers()

# %% id=layers-plot tags=nbval-ignore-output
lab.layers_plot()

# %% [markdown] id=exercise-5
# ### Exercise 5: where a tag alone is cheaper
#
# From which size of the table on does **I** take at most two thirds of the time of **EI**? (Also for all larger ones.)

# %% id=answer-5
cheaper_from = {"paper": ..., "aes-gcm-gmac": ...}
### BEGIN SOLUTION
from mqttsec.labs.overhead_exercises import cheaper_from as look

cheaper_from = {suite: look(lab.costs, suite) for suite in ("paper", "aes-gcm-gmac")}
### END SOLUTION
check.exercise_5(cheaper_from)

# %% [markdown] id=teacher-5 tags=teacher
# **For teachers** (5 minutes). Expected: `paper` from 64 bytes, `aes-gcm-gmac` from 16384. Misconception: that a tag is always
# much cheaper than encryption. With CBC and HMAC it is; with AES in hardware it is not, for the messages that sensors send,
# and HMAC-SHA256 (`aes-gcm`, I) even costs more than encrypting with GCM. What Scheme 4 gives up (lab 03: everybody sees the
# inner header) buys little then.

# %% [markdown] id=tls
# ## 6 Beside TLS
#
# TLS protects the way to the broker and the way from it; the broker reads everything. What does that cost?

# %% id=peers
lab.peers()

# %% [markdown] id=tls-look
# **Look for** the bytes of a handshake, and for the last column: a broker with TLS seals a record for every subscriber, as
# that of Scheme 2 does. Schemes 3 and 4 seal once.

# %% [markdown] id=questions
# ## 7 What have you learned?
#
# Answer with a letter in place of `...`.

# %% id=questionnaire
print(check.questions())

# %% id=answers
answers = [..., ..., ..., ..., ..., ...]
### BEGIN SOLUTION
answers = ["b", "a", "c", "b", "b", "c"]
### END SOLUTION
lab.answer(answers)

# %% [markdown] id=further
# **Further reading**
#
# - `docs/overhead.md`: a whole run of `mqttsec bench overhead`, the aims that it missed included.
# - `mqttsec bench report` draws your own run on one page.
# - Jain, *The Art of Computer Systems Performance Analysis*, 1991: how not to fool yourself with a benchmark.
#
# Your report: put your name in. It writes a JSON and a CSV file to `out/`; your teacher runs the notebook again.

# %% id=report
lab.report("Your Name")
