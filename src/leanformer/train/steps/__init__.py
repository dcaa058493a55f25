"""The steps of recipes that train on labels or plain text, and what all trainings prove."""
