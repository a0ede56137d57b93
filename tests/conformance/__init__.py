"""A black-box conformance suite for MQTT 5.0 and 3.1.1 brokers, over real TCP sockets."""
