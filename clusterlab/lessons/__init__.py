"""Labs: where they come from (release) and where a learner works on them (desk)."""
