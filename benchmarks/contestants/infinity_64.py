"""Infinity with 64 texts a request, cut beforehand."""

from http_infinity import main

if __name__ == "__main__":
    main(64)
