"""Values for columns with common names: words for texts, ranges for numbers."""

from __future__ import annotations

from dataclasses import dataclass

_COUNTRIES = ("US", "DE", "GB", "FR", "IN", "BR", "JP", "CH", "SE", "ZA")
_SYSTEMS = ("ios", "android", "web", "windows", "macos")

CAMPAIGNS = ("spring_sale", "new_arrivals", "free_shipping", "clearance", "gift_guide", "loyalty")

TEXTS = {
    "ad": ("banner", "carousel", "video", "text"),
    "browser": ("chrome", "safari", "firefox", "edge"),
    "campaign": CAMPAIGNS,
    "category": ("outdoor", "shoes", "kitchen", "garden", "toys", "books"),
    "channel": ("search", "email", "social", "direct", "affiliate"),
    "city": ("Berlin", "Chicago", "Lagos", "Mumbai", "São Paulo", "Tokyo", "Zürich"),
    "color": ("red", "green", "blue", "black", "white"),
    "country": _COUNTRIES,
    "currency": ("USD", "EUR", "GBP", "CHF", "JPY"),
    "device": ("phone", "tablet", "desktop", "tv"),
    "email": ("ada@example.com", "grace@example.org", "alan@example.net"),
    "event": ("view", "search", "add_to_cart", "purchase"),
    "experiment": ("control", "variant_a", "variant_b"),
    "host": ("www.example.com", "shop.example.com", "m.example.com"),
    "ip": ("192.0.2.17", "198.51.100.4", "203.0.113.99", "2001:db8::7"),
    "kind": ("standard", "premium", "trial"),
    "language": ("en", "de", "fr", "pt", "ja"),
    "level": ("debug", "info", "warning", "error"),
    "locale": ("en-US", "de-CH", "fr-FR", "pt-BR", "ja-JP"),
    "method": ("GET", "POST", "PUT", "DELETE"),
    "name": ("Ada", "Grace", "Alan", "Edsger", "Barbara", "Zoë"),
    "os": _SYSTEMS,
    "page": ("home", "search", "product", "cart", "checkout"),
    "path": ("/", "/search", "/cart", "/products/17", "/products/204"),
    "platform": _SYSTEMS,
    "product": ("tent", "boots", "lamp", "stove", "backpack"),
    "query": ("tent 2 person", "hiking boots", "head lamp", "gas stove", 'monitor 27"', "größe 42 schuhe", "c# book"),
    "referrer": ("https://www.example.org/", "https://news.example.net/today", "https://search.example.com/?q=tent"),
    "region": ("eu-west", "us-east", "us-west", "ap-south"),
    "source": ("newsletter", "partner", "organic", "paid"),
    "state": ("new", "active", "paused", "closed"),
    "status": ("ok", "ok", "ok", "pending", "failed"),
    "tag": ("sale", "new", "top", "eco"),
    "timezone": ("UTC", "Europe/Zurich", "America/Chicago", "Asia/Tokyo"),
    "title": ("Tents for two", "Boots that last", "Light where you need it", "Hot meals outdoors"),
    "type": ("impression", "click", "view", "purchase"),
    "url": (
        "https://shop.example.com/",
        "https://shop.example.com/search?q=tent&page=2",
        "https://shop.example.com/products/17",
        "https://shop.example.com/cart#items",
    ),
    "user_agent": (
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Mobile Safari/604.1",
        "ExampleBot/2.1 (+https://bot.example.com)",
    ),
    "variant": ("a", "b"),
    "version": ("1.9.2", "2.0.0", "2.1.4"),
}
ANY_TEXTS = (
    "alpha", "bravo", "charlie", "delta", "echo", "a longer text of several words", "12", "Ünïcödé ✓", "", 'say "hi"',
    "C:\\temp", "tab\there",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from low to high, with this many digits after the point if the type has any."""

    low: int
    high: int
    digits: int = 0


_MONEY = Range(1, 200, 2)
_COUNT = Range(1, 5)
_MILLISECONDS = Range(1, 30_000)
_SHARE = Range(0, 1, 4)

NUMBERS: dict[str, Range | tuple[int, ...]] = {
    "age": Range(18, 90),
    "amount": _MONEY,
    "budget": Range(100, 2000),
    "code": (200, 200, 200, 200, 204, 301, 404, 500),
    "cost": _MONEY,
    "count": _COUNT,
    "duration": _MILLISECONDS,
    "height": (844, 915, 1024, 1080),
    "latency": _MILLISECONDS,
    "latitude": Range(-60, 70, 5),
    "longitude": Range(-180, 180, 5),
    "page": Range(1, 9),
    "percent": Range(0, 100, 1),
    "position": Range(1, 8),
    "price": _MONEY,
    "probability": _SHARE,
    "quantity": _COUNT,
    "rank": Range(1, 100),
    "ratio": _SHARE,
    "revenue": _MONEY,
    "score": _SHARE,
    "size": Range(100, 50_000),
    "status": (200, 200, 200, 200, 204, 301, 404, 500),
    "total": _MONEY,
    "width": (390, 412, 768, 1440, 1920),
}

OF_A_SESSION = (
    "browser", "city", "country", "device", "email", "ip", "language", "locale", "os", "platform", "session_id",
    "timezone", "user_agent", "user_id",
)  # fmt: skip
"""Columns that keep their value for a whole session."""


def singulars(name: str) -> tuple[str, ...]:
    """Possible singulars of `name`, and `name` itself last: impressions -> impression."""
    found = [name]
    if name.endswith("s") and not name.endswith("ss"):
        found.insert(0, name[:-1])
    if name.endswith("es"):
        found.insert(1, name[:-2])
    if name.endswith("ies"):
        found.insert(0, name[:-3] + "y")
    return tuple(found)


def candidates(name: str) -> list[str]:
    """The words to look up for a column's name, the best first: page_url -> page_url, url, page."""
    parts = name.split("_")
    suffixes = ["_".join(parts[at:]) for at in range(len(parts))]
    return [word for part in [*suffixes, *reversed(parts)] for word in reversed(singulars(part))]
