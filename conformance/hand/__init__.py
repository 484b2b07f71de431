"""Engine doubles for hand use: `conformance engine NAME` runs one on a port and tells what it sees."""
