"""A small shop: FastAPI, SQLAlchemy and Celery, for tests/nixos/coming-from-compose.nix."""
