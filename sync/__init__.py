"""How replicas come to hold the same batches: sessions, batches, roster, pairing, envelopes. Sans-IO."""
