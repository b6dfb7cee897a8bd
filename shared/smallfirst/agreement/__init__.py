"""Agreement: what stands where several people answer one job, and how often they agree. Pure."""
