"""Tests of gyoza.examples."""
