"""How many gateways and encoders a load needs: measured costs, a simulation of queues, and a search.

It plans machines; it measures nothing and is no part of the service that answers.
"""
