"""The AWS side: what a declaration needs of an account, and what it costs."""
