"""Amounts as reports write them: money and shares. Pure, and quick to import."""


def price(amount: float, currency: str) -> str:
    """Write an amount of money with the digits that mean something."""
    if not amount:
        return f"{currency} 0"
    return f"{currency} {amount:,.2f}" if amount >= 0.1 else f"{currency} {amount:.2g}"


def percent(value: float | None, digits: int = 1) -> str:
    """Write a share in per cent; a dash where there is none."""
    return "-" if value is None else f"{value * 100:.{digits}f} %"
