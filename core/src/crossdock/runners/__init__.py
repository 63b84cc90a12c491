"""Who calls the stepper, and when. A runner has no rules of its own."""
