"""What keys keep of the results of their statements: tables and views of their own, bounded, for a while."""
