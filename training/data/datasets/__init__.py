"""Public data sets: their official files become the tables of a data folder; one module a family of data sets."""
