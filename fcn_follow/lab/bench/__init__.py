"""How fast engines, the live chain and scoring are, and the page of it."""
