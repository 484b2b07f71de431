"""What the zoo says about the kit: which check catches what, under how many schedules, and which are needed."""
