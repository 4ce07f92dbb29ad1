"""What operators see: JSON logs and Prometheus metrics. Nothing here changes an answer."""
