"""Who may do what: keys, their rights and rates, and the signatures that requests carry."""
