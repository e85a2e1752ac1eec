"""Where cells run: each site is a YAML file that becomes a ``concurrent.futures.Executor``."""
