"""What watches a batch from outside: metrics, traces, the watchdog, the self-test, warnings."""
