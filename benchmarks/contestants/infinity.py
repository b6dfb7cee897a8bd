"""Infinity with one text a request, as a service meets them."""

from http_infinity import main

if __name__ == "__main__":
    main(1)
