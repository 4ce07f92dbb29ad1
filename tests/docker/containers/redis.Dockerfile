# Stands in for the official image of Redis, where no registry is reached.
ARG BASE
FROM ${BASE}
RUN apt-get update -qq && apt-get install -qq --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/*
