"""Everything that remembers labels: banks in memory, on disk and shared between gateways, and named sets."""
