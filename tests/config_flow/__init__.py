"""Tests of the dialogs, by step."""
