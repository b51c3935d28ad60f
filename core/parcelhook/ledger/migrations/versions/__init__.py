"""One module per version of the ledger, named after its number."""
