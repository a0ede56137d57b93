# %% [markdown] id=title
# # In the browser alone
#
# This page runs in your browser, without a server: nothing of it leaves your machine, and nothing is fetched from
# elsewhere. What needs a broker, sockets or real key material is in the other labs, which want `make labs` or a hosted
# kernel. Here: a handshake that was **recorded**, and **theory**.

# %% id=start
from mqttsec import labs

lab = labs.Offline(seed=7)
lab

# %% [markdown] id=handshake
# ## 1 A recorded handshake
#
# alice publishes, bob subscribes, under Scheme 3, *hardened*. Step through the packets: every field of MQTT is explained.
# **Look for** the packet in which bob's request reaches alice. What stands in Authentication Data is the matter of lab 02.

# %% id=stepper
lab.stepper()

# %% [markdown] id=ladder-text
# The same as text:

# %% id=ladder
print(lab.ladder())

# %% [markdown] id=crowd
# ## 2 A crowd of bridge brokers
#
# A message goes from broker to broker until one of them hands it to the public broker. Collaborators note from whom
# they had it. **Predict**: after how many messages do they name the publisher? Then move *Messages*, and *Lifetime*: so
# many messages share one path.

# %% id=explore
lab.explore()

# %% [markdown] id=crowd-text
# The same as text, after 20 messages:

# %% id=crowd-after
lab.crowd(messages=20)

# %% [markdown] id=time
# ## 3 Named over time
#
# What the theory says of the same crowd:

# %% id=plot
lab.over_time()

# %% id=table
lab.named()
