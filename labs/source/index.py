# %% [markdown] id=title
# # The MQTT security laboratory
#
# Real MQTT 5 brokers run inside these notebooks. You send real packets through them, read what others can
# read, break things and mend them. Everything runs on this machine alone and works without the Internet.

# %% [markdown] id=labs
# ## The labs
#
# | Lab | You will | Needs | Minutes | With solutions |
# |:---|:---|:---|---:|:---|
# | [01 MQTT and the curious broker](01_mqtt_and_the_curious_broker.ipynb) | publish a weather station, read every packet, see what a broker and a listener learn | Python, no MQTT | 75 | [for teachers](teacher/01_mqtt_and_the_curious_broker.ipynb) |
# | [02 The handshake](02_handshake.ipynb) | step through the handshake, attack it as network, broker or insider, write its key derivation, stop a replay | 01 | 85 | [for teachers](teacher/02_handshake.ipynb) |
# | [03 Four schemes](03_four_schemes.ipynb) | send a reading through four schemes, count what each costs, change bits until somebody notices | 01 | 63 | [for teachers](teacher/03_four_schemes.ipynb) |
# | [04 The overhead](04_overhead.ipynb) | predict, reckon and measure live what each scheme costs, reproduce the paper, compare with TLS | 03 | 65 | [for teachers](teacher/04_overhead.ipynb) |
# | [05 Group keys](05_group_keys.ipynb) | follow a group key through joins and leaves, forge as a member, count what rekeying costs | 01, 03 | 60 | [for teachers](teacher/05_group_keys.ipynb) |
# | [06 MQTT-A](06_mqtt_a.ipynb) | follow a message through a network of brokers draw by draw, find lost subscriptions, choose p_f for a budget | 01 | 60 | [for teachers](teacher/06_mqtt_a.ipynb) |
# | [07 Anonymity](07_anonymity.ipynb) | derive what collaborating brokers learn, accuse a publisher from logs, find out when you are named and what it costs not to be | 06 | 65 | [for teachers](teacher/07_anonymity.ipynb) |
# | [08 Proofs](08_proofs.ipynb) | ask a model checker about the handshake, run the attacks it finds, repair it with the fewest signed fields | 02 | 70 | [for teachers](teacher/08_proofs.ipynb) |
# | [09 Capstone: Scheme 4 over MQTT-A](09_capstone.ipynb) | run both together, look at what every party had, find what is left to those who pool it | 03, 06 | 60 | [for teachers](teacher/09_capstone.ipynb) |
#
# For teachers: a plan for four weeks and one for a day, expected answers and misconceptions, grading, variants, and what may
# go wrong stand in `docs/teaching.md` of the checkout (`make docs` builds it).

# %% [markdown] id=how
# ## How a lab works
#
# - Run the cells from top to bottom with **Shift-Enter**; buttons and sliders come when their cell has run. Any
#   cell can be run again.
# - Where a cell says `...`, write your answer. The check in the same cell says *todo*, *wrong* with a hint, or *ok*.
# - The picture and the text under it show the same thing: use whichever you prefer.
# - What a lab writes goes to the folder `out/`. To begin anew: *Kernel*, *Restart Kernel and Run All Cells*.
# - Nothing you do here leaves this machine. Attack only systems that are your own.
# - A word you do not know: the [glossary](glossary.ipynb) has it, with its source.
# - [In the browser alone](lite.ipynb) is what a page without a server shows: `make lite` builds it.

# %% [markdown] id=ready
# ## Is everything installed?
#
# The next cell says which version of the laboratory this is.

# %% id=installed
import mqttsec

print(f"mqttsec {mqttsec.__version__} is installed")
