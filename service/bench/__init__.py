"""`duoact bench`: what recognition costs. It measures the service's own parts, and the service never needs it."""
