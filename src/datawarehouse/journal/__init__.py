"""The durable log: the records of one stream in order; append with group commit, read, trim."""
