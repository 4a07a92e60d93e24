"""What a user declares: pure data, standard library only, also shipped to AWS Lambda."""
