"""The running service: tasks, their frames, pools, and the dispatcher that owns every run."""
