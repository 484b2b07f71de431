"""The decisions of the service: queue, placement, estimates, admission. No I/O, no clock; `now` is an argument."""
