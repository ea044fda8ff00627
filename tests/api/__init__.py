"""Tests of the client on its own, without Home Assistant."""
