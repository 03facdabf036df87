"""The service: HTTP and bytes at the top, arrays below, flows at the bottom."""
