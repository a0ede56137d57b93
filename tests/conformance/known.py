"""Where brokers from elsewhere are known to differ from the standard, as this suite reads it.

Each entry is a regular expression for tests (`test_module::test_name[case]`) and the reason. Such a test
has to fail: one that passes unexpectedly is reported, so that the list stays true.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """What a broker does otherwise, and why we keep the test."""

    reason: str
    always: bool = True
    """False if the broker sometimes happens to do it right."""


MOSQUITTO = {
    r"test_format::test_reserved_flags\[.*-(PUBACK|PUBREC|PUBCOMP|PINGREQ)\]": Difference(
        "mosquitto 2.0.11 does not look at the flags of these packets; [MQTT-2.1.3-1] has no exception"
    ),
    r"test_format::test_packet_that_only_a_server_sends\[.*-(SUBACK|UNSUBACK|PINGRESP)\]": Difference(
        "mosquitto's reader is also its bridge's, which gets such packets; from a client they are a Protocol "
        "Error (1.2: a packet that is not permitted)"
    ),
    r"test_format::test_packet_longer_than_its_fields\[(PINGREQ|PUBACK)\]": Difference(
        "mosquitto skips bytes after the last field; the packet is malformed (3.12.1, 3.4.1)"
    ),
    r"test_connect::test_wrong_property_in_connect\[Authentication Data alone\]": Difference(
        "mosquitto ignores it; 3.1.2.11.10 calls it a Protocol Error"
    ),
    r"test_keep_alive::test_(silent_client_is_closed|what_the_broker_sends_does_not_count).*": Difference(
        "mosquitto looks for silent clients every five seconds only", always=False
    ),
    r"test_session::test_take_over\[v5\]": Difference(
        "mosquitto 2.0.11 closes the first connection without DISCONNECT 0x8E [MQTT-3.1.4-3]"
    ),
    r"test_will::test_will_after_disconnect_with_another_reason\[0x[89].\]": Difference(
        "mosquitto publishes the will after 0x04 only; [MQTT-3.1.2-8] exempts nothing but 0x00"
    ),
    r"test_will::test_will_does_not_wait_longer_than_the_session": Difference(
        "mosquitto waits for the Will Delay although the session has ended [MQTT-3.1.2-8]"
    ),
    r"test_will::test_clean_start_ends_the_session_and_its_will_is_due": Difference(
        "mosquitto waits for the Will Delay although the session has ended [MQTT-3.1.2-8]"
    ),
    r"test_publish::test_dup_with_qos_0.*": Difference(
        "mosquitto 2.0.11 overlooks it; [MQTT-3.3.1-2] forbids it, so that the packet is malformed"
    ),
    r"test_publish::test_subscription_identifier_from_a_client.*": Difference(
        "mosquitto ignores it; [MQTT-3.3.4-6] forbids it, and forwarding it would mislead subscribers"
    ),
    r"test_publish::test_wildcard_in_response_topic.*": Difference(
        "mosquitto 2.0.11 forwards it unseen; [MQTT-3.3.2-14] forbids it"
    ),
    r"test_flow::test_client_receive_maximum\[.-3\]": Difference(
        "mosquitto 2.0.11 fills the window anew after one acknowledgement, and has more than Receive Maximum "
        "messages unacknowledged [MQTT-3.3.4-9]"
    ),
    r"test_flow::test_receive_maximum_after_a_reconnect": Difference(
        "mosquitto sends everything again at once, above the new Receive Maximum [MQTT-3.3.4-9]"
    ),
    r"test_flow::test_server_receive_maximum": Difference(
        "mosquitto refuses the message with PUBREC 0x97; 3.3.4 names DISCONNECT 0x93"
    ),
    r"test_qos::test_qos_2_is_delivered_once\[v.*-2\]": Difference(
        "mosquitto 2.0.11 takes a second repetition for a Protocol Error; [MQTT-4.3.3-10] has it acknowledged"
    ),
    r"test_qos::test_acknowledgement_with_an_unknown_reason.*": Difference(
        "mosquitto does not look at the Reason Code; one that the packet cannot have makes it malformed"
    ),
    r"test_qos::test_sent_message_does_not_expire": Difference(
        "mosquitto drops the message at the reconnect; [MQTT-4.3.3-7] forbids it once the PUBLISH was sent"
    ),
    r"test_subscribe::test_overlapping_subscriptions_without_identifiers\[v311\]": Difference(
        "mosquitto delivers one copy at the QoS of one of the subscriptions, not of the best [MQTT-3.3.5-1]"
    ),
    r"test_packet_size::test_message_that_is_too_large_is_dropped.*": Difference(
        "mosquitto 2.0.11 forgets the first byte, and sends one byte more than it may [MQTT-3.1.2-24]"
    ),
    r"test_packet_size::test_message_that_is_too_large_takes_no_quota": Difference(
        "mosquitto keeps the dropped message in flight for ever; [MQTT-3.1.2-25] has it count as delivered"
    ),
    r"test_disconnect::test_packet_too_large_for_the_broker": Difference(
        "mosquitto measures the Remaining Length; 3.1.2.11.4 counts the whole packet"
    ),
    r"test_shared::test_no_local_is_an_error": Difference(
        "mosquitto 2.0.11 accepts it; [MQTT-3.8.3-4] calls it a Protocol Error"
    ),
    r"test_disconnect::test_error_is_told_and_ends_the_connection\[share with No Local\]": Difference(
        "mosquitto 2.0.11 accepts it; [MQTT-3.8.3-4] calls it a Protocol Error"
    ),
    r"test_shared::test_bad_share\[\$share/(g|g/|/t|\+/t|#|\+)?\]": Difference(
        "mosquitto 2.0.11 takes these filters, which name no group or no topic [MQTT-4.8.2-1], [MQTT-4.8.2-2]"
    ),
    r"test_shared::test_no_retained_messages_for_a_share": Difference(
        "mosquitto sends retained messages to a new Shared Subscription; 4.8.2 does not"
    ),
}

KNOWN_DIFFERENCES: dict[str, dict[str, Difference]] = {"mosquitto": MOSQUITTO}
