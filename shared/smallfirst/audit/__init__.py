"""Audits: which accepted answers people look at blind, and what that says of all of them. Pure."""
