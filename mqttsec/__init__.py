"""A laboratory for MQTT security: real MQTT 5 brokers in the process, every packet explained."""
