"""The schemes on the command line: broker, publisher and subscriber, each in a process of its own."""
