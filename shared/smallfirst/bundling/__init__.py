"""Bundles: one signed file that carries a fleet to where there is no network.

    manifest.txt         every file with its size and SHA-256, as `sha256sum` reads it; signed
    bundle.json          where in the bundle everything is
    catalogue/           the catalogue, the rows that it learns from, and its promises
    models/  rows/       what lies outside of the catalogue's folder, models of the hub among it
    wheels/              the packages; requirements.txt names each by its hash
    chart/  images.txt   the packed chart, and the images to mirror
    install.pyz          what unpacks and installs it, with Python's standard library alone

`gathering`, `wheels` and `installer` say what goes into a bundle, `writing` writes it. `reading`,
`unpacking` and `installing` are the other side; they and what they import are in `install.pyz`, so
that they import nothing that is not Python's or theirs.
"""
