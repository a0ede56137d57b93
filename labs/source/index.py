# %% [markdown] id=title
# # The MQTT security laboratory
#
# Real MQTT 5 brokers run inside these notebooks. You send real packets through them, read what others can
# read, break things and mend them. Everything runs on this machine alone and works without the Internet.

# %% [markdown] id=labs
# ## The labs
#
# | Lab | You will | Needs |
# |---|---|---|
# | [01 MQTT and the curious broker](01_mqtt_and_the_curious_broker.ipynb) | publish a weather station, read every packet, see what a broker and a listener learn | Python, no MQTT |
#
# Teachers find the same labs with solutions in [teacher](teacher).

# %% [markdown] id=how
# ## How a lab works
#
# - Run the cells from top to bottom with **Shift-Enter**. Any cell can be run again.
# - Where a cell says `...`, write your answer. The check below it says *todo*, *wrong* with a hint, or *ok*.
# - The picture and the text under it show the same thing: use whichever you prefer.
# - Nothing you do here leaves this machine. Attack only systems that are your own.

# %% [markdown] id=ready
# ## Is everything installed?
#
# The next cell says which version of the laboratory this is.

# %% id=installed
import mqttsec

print(f"mqttsec {mqttsec.__version__} is installed")
