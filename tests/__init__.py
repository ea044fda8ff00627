"""Tests of the netsapiens integration."""
