"""Other frameworks in and out: each folder speaks one of them, and knows the agent and its tools."""
