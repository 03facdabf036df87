"""The service and those that people would use instead, under the same loads on the same machine."""
