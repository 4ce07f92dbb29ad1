"""Tables and figures of the paper that compare variants of a recipe: planned, run and reported."""
